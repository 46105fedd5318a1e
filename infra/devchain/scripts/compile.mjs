// Compiles the contracts of our own with the pinned compiler; their imports are read from installed packages.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

// Where an import is looked for: beside zodiac first, whose OpenZeppelin is newer than the one at the top.
const ROOTS = {
  "Spender.sol": ["@gnosis.pm/zodiac/node_modules", "."],
  "TwinToken.sol": ["."],
};

// {abi, bytecode, runtime} of each contract in the file at `path`, by name. The packages are pinned, so what was compiled
// once is kept beside them: the compiler takes two seconds.
export function compile(packages, path) {
  const key = createHash("sha256").update(readFileSync(path)).update(readFileSync(import.meta.filename)).digest("hex");
  const kept = join(packages.nodeModules, "..", `compiled-${key.slice(0, 16)}.json`);
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, "utf8"));
  const contracts = compiled(packages, path);
  try {
    writeFileSync(`${kept}.${process.pid}`, JSON.stringify(contracts));
    renameSync(`${kept}.${process.pid}`, kept);
  } catch (error) {
    if (!["EACCES", "EROFS", "EPERM"].includes(error.code)) throw error; // a folder we may not write is only slower
  }
  return contracts;
}

function compiled(packages, path) {
  const file = basename(path);
  const solc = packages.require("solc");
  const input = {
    language: "Solidity",
    sources: { [file]: { content: readFileSync(path, "utf8") } },
    settings: {
      evmVersion: "shanghai",
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { [file]: { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const find = (name) => {
    const found = ROOTS[file].map((root) => join(packages.nodeModules, root, name)).find(existsSync);
    return found ? { contents: readFileSync(found, "utf8") } : { error: `${name} is in no installed package` };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: find }));
  const errors = (output.errors ?? []).filter((error) => error.severity === "error");
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  return Object.fromEntries(
    Object.entries(output.contracts[file]).map(([name, { abi, evm }]) => [
      name,
      { abi, bytecode: "0x" + evm.bytecode.object, runtime: "0x" + evm.deployedBytecode.object },
    ]),
  );
}
