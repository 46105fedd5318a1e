// Where the installed packages keep what the development chain needs. Nothing of theirs is copied.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export class Packages {
  // mastercopies: {roles, delay}, where account-kit is to look for another generation of the modifiers than it was released with.
  constructor(nodeModules, mastercopies) {
    this.nodeModules = nodeModules;
    this.require = createRequire(join(nodeModules, "anchor.js"));
    this.kit = this.require("@gnosispay/account-kit");
    this.parts = this.require("@gnosispay/account-kit/dist/cjs/src/parts");
    this.deployments = this.require("@gnosispay/account-kit/dist/cjs/src/deployments").default;
    if (mastercopies) {
      this.deployments.rolesModMastercopy.address = mastercopies.roles;
      this.deployments.delayModMastercopy.address = mastercopies.delay;
    }
    this.constants = this.require("@gnosispay/account-kit/dist/cjs/src/constants");
    this.setUpSpender = this.require("@gnosispay/account-kit/dist/cjs/src/entrypoints/spender-actions/spenderSetup").default;
    // account-kit has an ethers of its own; the one beside it is older.
    this.ethers = createRequire(this.require.resolve("@gnosispay/account-kit"))("ethers");
  }

  file(...path) {
    return join(this.nodeModules, ...path);
  }

  json(...path) {
    return JSON.parse(readFileSync(this.file(...path), "utf8"));
  }

  // Creation code and salt of a Zodiac contract. By file path: the package's exports do not name it.
  zodiac(name) {
    return this.require(this.file("@gnosis.pm/zodiac/dist/cjs/initData", `${name}.js`));
  }

  // The raw transaction, signed long ago by a key nobody has, that makes the EIP-2470 factory.
  singletonFactoryTransaction() {
    const source = readFileSync(this.file("@gnosis.pm/zodiac/dist/cjs/factory/singletonFactory.js"), "utf8");
    return source.match(/broadcastTransaction\("(0x[0-9a-f]+)"\)/)[1];
  }

  multicall3() {
    return this.require(this.file("viem/_cjs/constants/contracts.js")).multicall3Bytecode;
  }

  safe(path) {
    return this.json("@gnosis.pm/safe-contracts/build/artifacts/contracts", path).bytecode;
  }
}
