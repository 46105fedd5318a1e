// The scripts' one door: `node main.mjs COMMAND`, an order as JSON on stdin, its answer as JSON on stdout.

import { accounts } from "./accounts.mjs";
import { deploy } from "./deploy.mjs";
import { query, spend } from "./kit.mjs";

const COMMANDS = { deploy, accounts, query, spend };

async function stdin() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}

const [command] = process.argv.slice(2);
if (!(command in COMMANDS)) {
  console.error(`no such command: ${command}; there are ${Object.keys(COMMANDS).join(", ")}`);
  process.exit(2);
}
try {
  process.stdout.write(JSON.stringify(await COMMANDS[command](await stdin())));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
