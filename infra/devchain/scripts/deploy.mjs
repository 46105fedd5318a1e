// Puts on an empty development chain what Gnosis Chain has: factories, Safe 1.3.0, Zodiac modules, a token, a Spender.
// README.md names what is the real code and what stands in for it.

import { compile } from "./compile.mjs";
import { Node } from "./node.mjs";
import { Packages } from "./packages.mjs";

const CREATE2_DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C"; // anvil has it from the start
const EIP_2470_SIGNER = "0xBb6e024b9cFFACB947A71991E386681B1Cd1477D";
const EIP_2470 = "0xce0042B868300000d44A59004Da54A005ffdcf9f";
const ROLES_PACKER = "0x61C5B1bE435391fDd7BC6703F3740C0d11728a8C"; // linked inside the Roles code
const ROLES_INTEGRITY = "0x6a6Af4b16458Bc39817e4019fB02BD3b26d41049";
const NO_SALT = "0x" + "00".repeat(32);

// {rpc, nodeModules, deployer, settlement, delegate, deployerKey, contracts, twin, name, symbol, newer: {roles, delay}} -> addresses
export async function deploy(order) {
  const site = { node: new Node(order.rpc), packages: new Packages(order.nodeModules), ...order };
  const { node, packages } = site;
  if (await node.hasCode(packages.deployments.safeMastercopy.address))
    throw new Error("the chain has a Safe already: deploy once, and on an empty chain");
  site.chainId = Number(await node.call("eth_chainId"));
  await factories(site);
  await safes(site);
  await modules(site);
  const token = await makeToken(site);
  const spender = await makeSpender(site);
  return {
    chainId: site.chainId,
    ...token,
    ...spender,
    rolesMastercopy: packages.deployments.rolesModMastercopy.address,
    delayMastercopy: packages.deployments.delayModMastercopy.address,
    multicall: packages.deployments.multicall.address,
  };
}

async function factories({ node, packages, deployer }) {
  await node.send(deployer, { to: EIP_2470_SIGNER, value: 10n ** 17n, gas: 21_000 });
  await node.sendRaw(packages.singletonFactoryTransaction());
  const safeFactory = packages.json("@safe-global/safe-singleton-factory/artifacts/100/deployment.json");
  await node.send(deployer, { to: safeFactory.signerAddress, value: 10n ** 17n, gas: 21_000 });
  await node.sendRaw(safeFactory.transaction);
  await expectCode(node, EIP_2470, safeFactory.address);

  const multicall = await node.send(deployer, { data: packages.multicall3() });
  await node.call(
    "anvil_setCode",
    packages.deployments.multicall.address,
    await node.call("eth_getCode", multicall.contractAddress, "latest"),
  );
}

async function safes({ node, packages, deployer }) {
  const { deployments } = packages;
  const wanted = {
    "GnosisSafe.sol/GnosisSafe.json": deployments.safeMastercopy.address,
    "proxies/GnosisSafeProxyFactory.sol/GnosisSafeProxyFactory.json": deployments.safeProxyFactory.address,
    "libraries/MultiSend.sol/MultiSend.json": deployments.multisend.address,
    "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json": deployments.fallbackHandler.address,
  };
  for (const [artifact, address] of Object.entries(wanted)) {
    await node.send(deployer, { to: CREATE2_DEPLOYER, data: NO_SALT + packages.safe(artifact).slice(2) });
    await expectCode(node, address);
  }
}

async function modules(site) {
  const { node, packages, settlement, contracts, newer } = site;
  const { deployments } = packages;
  await node.call("anvil_setCode", ROLES_INTEGRITY, "0x00");
  await node.call("anvil_setCode", ROLES_PACKER, packerStandIn(packages, settlement));
  await fromEip2470(site, "ModuleProxyFactory");
  await fromEip2470(site, "RolesV2");
  await expectCode(node, deployments.moduleProxyFactory.address, deployments.rolesModMastercopy.address);

  const packagedDelay = await fromEip2470(site, "Delay");
  const delayCode = await node.call("eth_getCode", packagedDelay, "latest");
  await node.call("anvil_setCode", deployments.delayModMastercopy.address, delayCode);
  await node.call("anvil_setCode", newer.delay, delayCode);
  const rolesCode = await node.call("eth_getCode", deployments.rolesModMastercopy.address, "latest");
  await node.call("anvil_setCode", newer.roles, rolesCode);
  const { Spender } = compile(packages, `${contracts}/Spender.sol`);
  await node.call("anvil_setCode", deployments.spenderModMastercopy.address, Spender.runtime);
}

async function fromEip2470({ node, packages, deployer }, name) {
  const { ethers } = packages;
  const { initCode, salt } = packages.zodiac(name);
  const factory = new ethers.Interface(["function deploy(bytes, bytes32)"]);
  await node.send(deployer, { to: EIP_2470, data: factory.encodeFunctionData("deploy", [initCode, salt]) });
  const address = ethers.getCreate2Address(EIP_2470, salt, ethers.keccak256(initCode));
  await expectCode(node, address);
  return address;
}

// account-kit writes one condition tree only, so what the Packer answers is one constant per (receiver, allowance):
// three packed conditions (Calldata Matches; Static EqualTo receiver; Static WithinAllowance key), then the two values.
function packerStandIn({ ethers, constants }, receiver) {
  const coder = ethers.AbiCoder.defaultAbiCoder();
  const receiverHash = ethers.keccak256(coder.encode(["address"], [receiver]));
  const conditions = ethers.concat(["0x00a5", "0x0030", "0x003c", receiverHash, constants.SPENDING_ALLOWANCE_KEY]);
  const answer = coder.encode(["bytes"], [conditions]);
  const length = ethers.toBeHex(ethers.dataLength(answer), 2);
  // PUSH2 length PUSH1 12 PUSH0 CODECOPY PUSH2 length PUSH0 RETURN, then the answer itself
  return ethers.concat(["0x61", length, "0x600c5f39", "0x61", length, "0x5ff3", answer]);
}

async function makeToken({ node, packages, deployer, contracts, twin, name, symbol }) {
  const { ethers } = packages;
  if (twin) {
    const { TwinToken } = compile(packages, `${contracts}/TwinToken.sol`);
    const factory = new ethers.ContractFactory(TwinToken.abi, TwinToken.bytecode);
    const { data } = await factory.getDeployTransaction(name, symbol);
    const token = (await node.send(deployer, { data })).contractAddress;
    const answer = await node.call("eth_call", { to: token, data: ethers.id("front()").slice(0, 10) }, "latest");
    return { token: ethers.getAddress(token), twin: ethers.getAddress("0x" + answer.slice(26)) };
  }
  const artifact = packages.json("@openzeppelin/contracts/build/contracts/ERC20PresetMinterPauser.json");
  const { data } = await new ethers.ContractFactory(artifact.abi, artifact.bytecode).getDeployTransaction(name, symbol);
  return { token: ethers.getAddress((await node.send(deployer, { data })).contractAddress), twin: null };
}

// The processor's own Safe, the Spender module on it, and the delegate whose signature spends.
async function makeSpender({ node, packages, deployer, deployerKey, delegate, chainId }) {
  const { ethers, parts, constants, setUpSpender } = packages;
  const wallet = new ethers.Wallet(deployerKey);
  const safe = { owners: [wallet.address], creationNonce: constants.ACCOUNT_CREATION_NONCE };
  const spenderSafe = parts._predictSafeAddress(safe);
  await node.send(deployer, parts._populateSafeCreation(safe));
  const sign = ({ domain, types, message }) => wallet.signTypedData(domain, types, message);
  await node.send(deployer, await setUpSpender({ spender: spenderSafe, delegate, chainId, nonce: 0 }, sign));
  const spenderModule = parts.predictSpenderModAddress(spenderSafe);
  await expectCode(node, spenderSafe, spenderModule);
  return { spenderSafe, spenderModule };
}

async function expectCode(node, ...addresses) {
  for (const address of addresses)
    if (!(await node.hasCode(address))) throw new Error(`no code at ${address}: a package is not the pinned one`);
}
