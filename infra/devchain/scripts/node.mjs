// A small JSON-RPC client of the development node, for the scripts that set the chain up.

export class Node {
  constructor(url) {
    this.url = url;
    this.sent = 0;
  }

  async call(method, ...params) {
    const [answer] = await this.batch([[method, params]]);
    return answer;
  }

  // [[method, params], ...] in one request; the answers in the same order.
  async batch(calls) {
    if (calls.length === 0) return [];
    const first = this.sent;
    this.sent += calls.length;
    const body = calls.map(([method, params], i) => ({ jsonrpc: "2.0", id: first + i, method, params }));
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const answers = new Map((await response.json()).map((answer) => [answer.id, answer]));
    return body.map(({ id, method }) => {
      const answer = answers.get(id);
      if (!answer || answer.error) throw new Error(`${method}: ${answer ? answer.error.message : "no answer"}`);
      return answer.result;
    });
  }

  // Sends one transaction from an account whose key the node holds, and waits for its receipt.
  async send(from, { to, data, value = 0, gas = 8_000_000 }) {
    const hash = await this.call("eth_sendTransaction", transaction(from, { to, data, value, gas }));
    return this.mined(hash, `to ${to ?? "a new contract"}`);
  }

  async sendRaw(raw) {
    return this.mined(await this.call("eth_sendRawTransaction", raw), "sent raw");
  }

  // Many transactions of one sender, mined together in one block, however blocks come otherwise. While a block is being made
  // anvil can hold the sender's next transaction back for ever: it checked its nonce before the block and queued it after.
  async sendTogether(from, orders) {
    const [automine, interval, count] = await this.batch([
      ["anvil_getAutomine", []],
      ["anvil_getIntervalMining", []],
      ["eth_getTransactionCount", [from, "pending"]],
    ]);
    await this.batch([["evm_setAutomine", [false]], ["anvil_setIntervalMining", [0]]]);
    const first = Number(count);
    const hashes = await this.batch(
      orders.map((order, i) => ["eth_sendTransaction", [transaction(from, { ...order, nonce: first + i })]]),
    );
    await this.call("evm_mine");
    if (automine) await this.call("evm_setAutomine", true);
    if (interval) await this.call("anvil_setIntervalMining", interval);
    return hashes;
  }

  async mined(hash, what) {
    for (let attempt = 0; attempt < 3000; attempt++) {
      const receipt = await this.call("eth_getTransactionReceipt", hash);
      if (receipt) {
        if (receipt.status !== "0x1") throw new Error(`transaction ${hash} (${what}) failed`);
        return receipt;
      }
      await new Promise((wake) => setTimeout(wake, 10));
    }
    throw new Error(`transaction ${hash} (${what}) was not mined in 30 seconds; is mining stopped?`);
  }

  async hasCode(address) {
    return (await this.call("eth_getCode", address, "latest")) !== "0x";
  }
}

export function transaction(from, { to, data = "0x", value = 0, gas, nonce }) {
  const hex = (number) => "0x" + BigInt(number).toString(16);
  return {
    from,
    ...(to ? { to } : {}),
    data,
    value: hex(value),
    gas: hex(gas),
    maxFeePerGas: hex(100_000_000_000),
    maxPriorityFeePerGas: hex(1_000_000_000),
    ...(nonce === undefined ? {} : { nonce: hex(nonce) }),
  };
}
