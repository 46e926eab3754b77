/** `--kernel NAME=PATH[:PATCH,PATCH]`: a real kernel to run on, and what is said to be in it. */
import { resolve } from 'node:path';
import type { Options } from 'yargs';
import { UsageError } from '../io.ts';

/** The options that choose a real kernel. */
export const KERNEL_OPTIONS = {
  kernel: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Run on this kernel in QEMU: NAME=PATH, or NAME=PATH:patch,patch to say what is in it',
  },
  engine: {
    choices: ['core', 'kvm'],
    default: 'core',
    requiresArg: true,
    describe: "Run on the emulated core, or on this host's /dev/kvm",
  },
} as const satisfies Readonly<Record<string, Options>>;

/** A kernel as the command line names it. */
export interface KernelWord {
  /** What its rows carry: `readonly-memslot@base`. */
  readonly name: string;
  /** A bzImage or an unpacked package; undefined for this host's own. */
  readonly path?: string;
  /** Patches said to be in it, of those that this program knows; undefined where nothing is said. */
  readonly patches?: readonly string[];
}

/** The kernels that the options name; the first thing wrong ends it. */
export function kernelWords(
  words: readonly string[] | undefined,
  engine: string | undefined,
  cwd: string,
): readonly KernelWord[] {
  const kernels = (words ?? []).map((word) => kernelWord(word, cwd));
  if (engine === 'kvm') kernels.push({ name: 'host' });
  const twice = kernels.find((k, i) => kernels.findIndex((other) => other.name === k.name) !== i);
  if (twice !== undefined)
    throw new UsageError(`--kernel: '${twice.name}' is there twice; give each its own name`);
  return kernels;
}

function kernelWord(word: string, cwd: string): KernelWord {
  const [, name, rest] = /^([a-z0-9][a-z0-9._-]*)=(.+)$/i.exec(word) ?? [];
  if (name === undefined || rest === undefined) {
    // A path alone is a kernel without a name of its own.
    if (word.includes('='))
      throw new UsageError(`--kernel '${word}': write it as NAME=PATH, with a short name`);
    return { name: 'kernel', path: resolve(cwd, word) };
  }
  const [, path = rest, patches] = /^(.*?):([a-z0-9,-]*)$/.exec(rest) ?? [];
  return {
    name,
    path: resolve(cwd, path),
    ...(patches === undefined ? {} : { patches: patches.split(',').filter(Boolean) }),
  };
}
