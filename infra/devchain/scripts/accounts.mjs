// Makes accounts exactly as account-kit makes them: a 1-of-1 Safe by its owner, then the set-up signed by that owner.

import { Node } from "./node.mjs";
import { Packages } from "./packages.mjs";

const CREATION_GAS = 400_000;
const SETUP_GAS = 1_500_000;
const OWNER_FUNDS = 10n ** 19n; // an owner pays for its own spends and withdrawals
const ACCOUNTS_A_BATCH = 15; // what one block of 30 M gas holds

// {rpc, nodeModules, deployer, owners: [key], spenderSafe, settlement, asset, allowance, delay, mastercopies} -> [account]
export async function accounts(order) {
  const node = new Node(order.rpc);
  const packages = new Packages(order.nodeModules, order.mastercopies);
  const chainId = Number(await node.call("eth_chainId"));
  const made = [];
  for (let i = 0; i < order.owners.length; i += ACCOUNTS_A_BATCH) {
    const keys = order.owners.slice(i, i + ACCOUNTS_A_BATCH);
    made.push(...(await batch({ node, packages, chainId, ...order }, keys)));
  }
  return made;
}

async function batch(site, keys) {
  const { node, deployer } = site;
  const plans = await Promise.all(keys.map((key) => plan(site, key)));
  const hashes = await node.sendTogether(deployer, plans.flatMap(({ orders }) => orders));
  for (const hash of hashes) await node.mined(hash, "account creation and set-up");
  return plans.map(({ account }) => account);
}

async function plan({ packages, chainId, spenderSafe, settlement, asset, allowance, delay }, key) {
  const { ethers, kit } = packages;
  const wallet = new ethers.Wallet(key);
  const safe = kit.predictAccountAddress({ owner: wallet.address });
  const config = {
    spender: spenderSafe,
    receiver: settlement,
    token: asset,
    allowance: { ...allowance, refill: BigInt(allowance.refill) },
    delay,
  };
  const setup = await kit.populateAccountSetup(
    { account: safe, owner: wallet.address, chainId, nonce: 0 },
    config,
    ({ domain, types, message }) => wallet.signTypedData(domain, types, message),
  );
  return {
    account: { owner: wallet.address, safe, ...kit.predictAddresses(safe) },
    orders: [
      { to: wallet.address, value: OWNER_FUNDS, gas: 21_000 },
      { ...kit.populateAccountCreation({ owner: wallet.address }), gas: CREATION_GAS },
      { ...setup, gas: SETUP_GAS },
    ],
  };
}
