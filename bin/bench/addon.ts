/** The C port, compiled as a Node-API addon when a benchmark asks for it; a sentence why not where it cannot be. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { firstLine } from '../io.ts';

/** The addon's functions (engine/core/batch/c/addon.c); VMs, lists and policies are numbers. */
export interface CPort {
  /** What its policies stand for, by number. */
  readonly policyNames: readonly string[];
  /** Its steps, by the engine's names, in the order of steps(). */
  readonly stepNames: readonly string[];
  /** `layout` is the struct layout_t of core.h. */
  make(policy: number, layout: Int32Array): number;
  drop(vm: number): number;
  list(pages: Int32Array): number;
  runReads(vm: number, list: number, mask: number, n: number): number;
  runWrites(vm: number, list: number, mask: number, n: number): number;
  zap(vm: number, list: number, n: number, evict: number): number;
  /** The ring of events, as it lies in the core's heap. */
  events(vm: number): Int32Array;
  /** How often each fault word was met. */
  words(vm: number): Int32Array;
  steps(vm: number): Int32Array;
}

/** Where the compiled addon is, or why there is none. */
export type Addon =
  | { readonly path: string; readonly compiler: string; readonly remove: () => Promise<void> }
  | { readonly reason: string };

const run = promisify(execFile);

/** Compiles the C port into a fresh temporary folder. */
export async function buildAddon(): Promise<Addon> {
  const headers = headersFolder();
  if (headers === undefined) return { reason: 'the headers of this Node (node_api.h) are not installed' };
  const source = fileURLToPath(new URL('../../engine/core/batch/c/addon.c', import.meta.url));
  if (!existsSync(source)) return { reason: 'the sources of the C port are not part of this build' };
  const folder = await mkdtemp(join(tmpdir(), 'faultline-c-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const path = join(folder, 'core.node');
  let last = 'no C compiler (CC, cc, gcc or clang)';
  for (const compiler of [process.env.CC, 'cc', 'gcc', 'clang']) {
    if (!compiler) continue;
    try {
      const dynamic = process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : [];
      await run(compiler, ['-O2', '-shared', '-fPIC', ...dynamic, `-I${headers}`, source, '-o', path]);
      return { path, compiler, remove };
    } catch (error) {
      const absent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!absent) last = `${compiler} could not compile the C port: ${firstLine(error)}`;
    }
  }
  await remove();
  return { reason: last };
}

function headersFolder(): string | undefined {
  const prefix = dirname(dirname(process.execPath));
  const folders = [join(prefix, 'include/node'), '/usr/include/node', '/usr/include/nodejs/src'];
  return folders.find((f) => existsSync(join(f, 'node_api.h')));
}

/** Loads a compiled addon. */
export function loadAddon(path: string): CPort {
  return createRequire(import.meta.url)(path) as CPort;
}
