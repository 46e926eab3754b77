/** Files are written whole or not at all, and a path that cannot be written is found before any work is done. */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import {
  chmod,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { errorCode, firstLine, UsageError } from '../io.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of its path is a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOSPC: 'the disk is full',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links go in a circle',
};

function refuse(option: string, path: string, error: unknown): UsageError {
  const reason = REASONS[errorCode(error) ?? ''] ?? firstLine(error);
  return new UsageError(`${option} ${path}: cannot be written: ${reason}`);
}

/** This machine among those that share a file system, or this container: process ids mean something only here. */
const HERE = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
const PART = new RegExp(`^\\..*\\.${HERE}-(\\d+)\\.[0-9a-f]{12}\\.part$`, 's');

/** Parts that are being written. */
const parts = new Set<string>();

/** A file beside the target that nobody else uses; its name says who is writing it. */
const temporary = (target: string): string => {
  const unique = randomBytes(6).toString('hex');
  return join(dirname(target), `.${basename(target).slice(0, 40)}.${HERE}-${process.pid}.${unique}.part`);
};

/** Takes away what is being written: for a process that ends before its time. */
export function removeParts(): void {
  for (const part of parts) rmSync(part, { force: true });
}

/** Takes away what writers left that were killed: their parts are nobody's any more. */
async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const writer = Number(PART.exec(name)?.[1]);
    if (writer > 0 && !isRunning(writer)) await rm(join(folder, name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Somebody else's process is one, too.
    return errorCode(error) === 'EPERM';
  }
}

/** Where a link leads, or the path itself when nothing is there yet; a link to nothing leads to what is to be made. */
async function follow(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    const to = await readlink(path).catch(() => undefined);
    return to === undefined ? path : follow(resolve(await realpath(dirname(path)), to));
  }
}

/** A file that will be written at the end. */
export interface OutputFile {
  /** As the user gave it, for messages. */
  readonly path: string;
  /** Puts the whole text there at once; readers see the old file or the new one. Long texts come in pieces. */
  readonly write: (text: string | Iterable<string> | AsyncIterable<string>) => Promise<void>;
}

/**
 * Makes sure that `path` can be written, without touching what is there.
 * Pipes and devices (`/dev/null`) are written straight; a rename would put a file in their place.
 */
export async function openOutput(option: string, path: string, cwd: string): Promise<OutputFile> {
  try {
    const target = await follow(resolve(cwd, path));
    const there = await stat(target).catch(() => undefined);
    if (there?.isDirectory()) throw new UsageError(`${option} ${path}: cannot be written: it is a folder`);
    if (there && !there.isFile()) return { path, write: (text) => attempt(() => writeFile(target, text)) };
    // The file itself, if there is one, and the folder: both have to allow it.
    if (there) await (await open(target, 'r+')).close();
    await withPart(target, async (probe) => (await open(probe, 'wx')).close());
    await removeStale(dirname(target)).catch(() => undefined);
    return { path, write: (text) => attempt(() => replace(target, text, there?.mode)) };
  } catch (error) {
    throw error instanceof UsageError ? error : refuse(option, path, error);
  }

  async function attempt(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      throw refuse(option, path, error);
    }
  }
}

async function replace(
  target: string,
  text: string | Iterable<string> | AsyncIterable<string>,
  mode: number | undefined,
): Promise<void> {
  await withPart(target, async (part) => {
    await writeFile(part, text, { flag: 'wx' });
    if (mode !== undefined) await chmod(part, mode & 0o777);
    await rename(part, target);
  });
}

/** Lends a file beside the target, which is gone afterwards whatever happened. */
async function withPart(target: string, use: (part: string) => Promise<void>): Promise<void> {
  const part = temporary(target);
  parts.add(part);
  try {
    await use(part);
  } finally {
    await rm(part, { force: true });
    parts.delete(part);
  }
}

/** What a folder's own errors mean: they are about the place, not about a file in it. */
const FOLDER_REASONS: Readonly<Record<string, string>> = {
  EEXIST: 'a file is in its place',
  ENOENT: 'no folder can be made there',
};

/**
 * Makes a folder and those above it, one call a level. Node's own `recursive` never returns where a parent is there
 * and says ENOENT all the same, as in /proc.
 */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if ((await stat(path).catch(() => undefined))?.isDirectory()) return;
    const above = dirname(path);
    if (errorCode(error) !== 'ENOENT' || (await stat(above).catch(() => undefined))) throw error;
    await makeFolder(above);
    await mkdir(path);
  }
}

/** Makes the folder if need be and sees that each of `names` can be written in it. */
export async function openFolder<const N extends string>(
  option: string,
  path: string,
  cwd: string,
  names: readonly N[],
): Promise<Readonly<Record<N, OutputFile>>> {
  try {
    await makeFolder(resolve(cwd, path));
  } catch (error) {
    const said = FOLDER_REASONS[errorCode(error) ?? ''];
    throw refuse(option, path, said === undefined ? error : new Error(said));
  }
  const files = await Promise.all(names.map(async (n) => [n, await openOutput(option, join(path, n), cwd)]));
  return Object.fromEntries(files) as Record<N, OutputFile>;
}
