// SPDX-License-Identifier: Apache-2.0
// A token with two addresses and one balance, as EURe has since its second version: a transfer through the
// first version's front is logged twice, at this address and then at the front.
pragma solidity 0.8.21;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

contract TwinToken is ERC20 {
    address public immutable minter = msg.sender;
    TwinFront public immutable front = new TwinFront();

    constructor(string memory name_, string memory symbol_) ERC20(name_, symbol_) {}

    function mint(address to, uint256 amount) external {
        require(msg.sender == minter, "only the minter");
        _mint(to, amount);
    }

    function transferFor(address caller, address to, uint256 amount) external {
        require(msg.sender == address(front), "only the front");
        _transfer(caller, to, amount);
    }
}

contract TwinFront {
    event Transfer(address indexed from, address indexed to, uint256 value);

    TwinToken public immutable token = TwinToken(msg.sender);

    function transfer(address to, uint256 amount) external returns (bool) {
        token.transferFor(msg.sender, to, amount);
        emit Transfer(msg.sender, to, amount);
        return true;
    }

    function balanceOf(address owner) external view returns (uint256) {
        return token.balanceOf(owner);
    }

    function symbol() external view returns (string memory) {
        return token.symbol();
    }

    function decimals() external view returns (uint8) {
        return token.decimals();
    }
}
