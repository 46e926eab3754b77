/** Reading what a user names: files of text and JSON, with one clear line when there is something wrong with them. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ZodType } from 'zod';
import { errorCode, firstLine, UsageError } from '../io.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a folder, a file is needed',
  EACCES: 'permission denied',
  ENOTDIR: 'a part of its path is a file',
};

/** Why a file could not be read, in our words where we have some. */
export const whyUnreadable = (error: unknown): string => REASONS[errorCode(error) ?? ''] ?? firstLine(error);

/** Bytes of a file that is read whole, packed or unpacked. */
const FILE_MAX = 2 ** 28;
const TOO_LARGE = `larger than ${FILE_MAX / 2 ** 20} MiB, the limit`;

/** The file's text; what begins like gzip is unpacked, whatever it is called. */
export async function readText(path: string, cwd: string): Promise<string> {
  let bytes: Buffer;
  try {
    const { size } = await stat(resolve(cwd, path));
    if (size > FILE_MAX) throw new Error(`it is ${TOO_LARGE}`);
    bytes = await readFile(resolve(cwd, path));
  } catch (error) {
    throw new UsageError(`${path}: ${whyUnreadable(error)}`);
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes, { maxOutputLength: FILE_MAX }).toString('utf8');
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE')
      throw new UsageError(`${path}: unpacked, it is ${TOO_LARGE}`);
    throw new UsageError(`${path}: damaged gzip file: ${firstLine(error)}`);
  }
}

/** JSON out of text; `where` names it in the message. */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${where}: not JSON: ${text.trim() === '' ? 'it is empty' : firstLine(error)}`);
  }
}

/** The file's JSON, checked against a schema; `what` says what it should have been, for the message. */
export async function readJson<T>(path: string, cwd: string, schema: ZodType<T>, what: string): Promise<T> {
  const text = await readText(path, cwd);
  return check(parseJson(text, path), schema, `${path}: not ${what}`);
}

/** Checks a value from outside; the first thing wrong with it becomes the message. */
export function check<T>(value: unknown, schema: ZodType<T>, refusal: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.map((p) => (typeof p === 'number' ? `[${p}]` : `.${String(p)}`)).join('') ?? '';
  const at = where === '' ? '' : `${where.replace(/^\./, '')}: `;
  throw new UsageError(`${refusal}: ${at}${issue?.message ?? 'it has the wrong shape'}`);
}
