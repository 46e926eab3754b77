/**
 * For tests: the program as it is built and run as a process. Built apart from `dist`, so that a test never runs what
 * somebody built yesterday, and once for the same sources, whichever test file comes first.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Below node_modules, so that packages are found upwards. */
const BUILDS = join(ROOT, 'node_modules/.faultline-test');
const KEPT_MS = 3_600_000;
const ROOMS = ['bin', 'engine', 'strategies', 'scenarios', 'reports'];

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end. */
export function execute(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd: ROOT, maxBuffer: 2 ** 28, ...options }, (_error, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });
}

/** Path of the built program's `compare.js`. */
export async function builtProgram(): Promise<string> {
  const build = join(BUILDS, sourcesDigest());
  const program = join(build, 'dist/bin/compare.js');
  if (existsSync(program)) return program;
  await mkdir(BUILDS, { recursive: true });
  for (const old of readdirSync(BUILDS)) {
    // Other tests may be running with the one before.
    const age = Date.now() - statSync(join(BUILDS, old)).mtimeMs;
    if (age > KEPT_MS) await rm(join(BUILDS, old), { recursive: true, force: true });
  }
  const fresh = await mkdtemp(join(BUILDS, 'new-'));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are `npm run check`'s business; what matters here is that something was built.
  await execute(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(fresh, 'dist')]);
  const finished = await execute(process.execPath, ['bin/finish-build.mjs', join(fresh, 'dist/')]);
  if (finished.err !== '') throw new Error(finished.err);
  await copyFile(join(ROOT, 'package.json'), join(fresh, 'package.json'));
  // Two test files may have built at the same time: the first to be done is as good as the second.
  await rename(fresh, build).catch(() => rm(fresh, { recursive: true, force: true }));
  return program;
}

function sourcesDigest(): string {
  const hash = createHash('sha256');
  const add = (path: string): void => void hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)));
  for (const file of ['package.json', 'tsconfig.json', 'tsconfig.build.json']) add(file);
  for (const room of ROOMS) {
    const files = readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })
      .filter((f) => f.isFile() && !f.name.endsWith('.test.ts'))
      .map((f) => join(f.parentPath, f.name).slice(ROOT.length));
    for (const file of files.sort()) add(file);
  }
  return hash.digest('hex').slice(0, 16);
}
