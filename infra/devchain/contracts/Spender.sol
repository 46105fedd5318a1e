// SPDX-License-Identifier: LGPL-3.0-only
// Stands in for the payment processor's Spender, whose creation code no package carries (see README.md).
pragma solidity 0.8.21;

import {Enum} from "@gnosis.pm/safe-contracts/contracts/common/Enum.sol";
import {Modifier} from "@gnosis.pm/zodiac/contracts/core/Modifier.sol";

interface IRoles {
    function execTransactionWithRole(
        address to, uint256 value, bytes calldata data, uint8 operation, bytes32 roleKey, bool shouldRevert
    ) external returns (bool);
}

interface IToken {
    function transfer(address to, uint256 amount) external returns (bool);
}

/// Enabled modules ("delegates"), by call or by signature, spend from an account through its Roles module.
contract Spender is Modifier {
    event Spend(address asset, address account, address receiver, uint256 amount);

    function setUp(bytes memory initializeParams) public override initializer {
        address safe = abi.decode(initializeParams, (address));
        __Ownable_init(safe);
        avatar = safe;
        target = safe;
        setupModules();
    }

    function spend(address asset, address account, address receiver, uint256 amount, bytes32 roleKey)
        external
        moduleOnly
    {
        bytes memory transfer = abi.encodeCall(IToken.transfer, (receiver, amount));
        bytes memory call = abi.encodeCall(IRoles.execTransactionWithRole, (asset, 0, transfer, 0, roleKey, true));
        require(exec(account, 0, call, Enum.Operation.Call), "Spend Transaction Failed");
        emit Spend(asset, account, receiver, amount);
    }

    function execTransactionFromModule(address, uint256, bytes calldata, Enum.Operation)
        public
        pure
        override
        returns (bool)
    {
        revert("Only Spend");
    }

    function execTransactionFromModuleReturnData(address, uint256, bytes calldata, Enum.Operation)
        public
        pure
        override
        returns (bool, bytes memory)
    {
        revert("Only Spend");
    }
}
