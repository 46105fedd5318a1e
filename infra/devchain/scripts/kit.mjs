// What account-kit itself says and does, so that tests can hold our own arithmetic and signing against it.

import { Node } from "./node.mjs";
import { Packages } from "./packages.mjs";

// {rpc, nodeModules, accounts: [safe], cooldown, blocks, mastercopies} -> for each block [{status, allowance}] by account-kit's accountQuery
export async function query({ rpc, nodeModules, accounts, cooldown, blocks, mastercopies }) {
  const node = new Node(rpc);
  const { kit } = new Packages(nodeModules, mastercopies);
  const answers = [];
  for (const block of blocks) {
    const ask = ({ to, data }) => node.call("eth_call", { to, data }, block);
    const asked = accounts.map(async (account) => {
      const { status, allowance } = await kit.accountQuery({ account, cooldown }, ask);
      return { account, status: kit.AccountIntegrityStatus[status], allowance: texts(allowance) };
    });
    answers.push(await Promise.all(asked));
  }
  return answers;
}

// {nodeModules, chainId, account, spenderSafe, delegateKey, salt, asset, receiver, amount} -> {to, data}
export async function spend({ nodeModules, chainId, account, spenderSafe, delegateKey, salt, asset, receiver, amount }) {
  const { kit, ethers } = new Packages(nodeModules);
  const wallet = new ethers.Wallet(delegateKey);
  const { to, data } = await kit.populateSpend(
    { account, spender: spenderSafe, chainId, salt },
    { token: asset, to: receiver, amount: BigInt(amount) },
    ({ domain, types, message }) => wallet.signTypedData(domain, types, message),
  );
  return { to, data };
}

// Integers as base-10 text: JSON numbers cannot hold them.
function texts(record) {
  return Object.fromEntries(Object.entries(record).map(([k, v]) => [k, typeof v === "bigint" ? v.toString() : v]));
}
