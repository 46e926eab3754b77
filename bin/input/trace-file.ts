/**
 * Traces as files: read a piece at a time, unpacked on the way where they begin like gzip, and handed on line by line.
 * What is in memory is one piece, however long the trace is.
 */
import { createReadStream, type ReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setImmediate } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { firstLine, type Io, UsageError } from '../io.ts';
import { whyUnreadable } from './input.ts';

/** Bytes read at a time: some thousand lines. */
const PIECE = 1 << 20;
/** A line longer than this is no line of a trace, and this file is none. */
const LINE_MAX = 1 << 20;

/**
 * The lines of a file, a piece of it at a time, to its end or until Ctrl-C. `show` hears how much of the file was read,
 * from 0 to 1.
 */
export async function* readLines(
  path: string,
  io: Pick<Io, 'cwd' | 'signal'>,
  show: (part: number) => void = () => {},
): AsyncGenerator<readonly string[]> {
  const file = resolve(io.cwd, path);
  const bytes = await sizeOf(path, file);
  const source = createReadStream(file, { highWaterMark: PIECE });
  const decoder = new StringDecoder('utf8');
  let rest = '';
  try {
    for await (const piece of unpacked(source, path)) {
      const lines = (rest + decoder.write(piece)).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_MAX)
        throw new UsageError(`${path}: a line of more than ${LINE_MAX} characters: not a trace in text`);
      yield lines;
      show(bytes === 0 ? 0 : source.bytesRead / bytes);
      // Ctrl-C is heard between two pieces.
      await setImmediate();
      if (io.signal.aborted) return;
    }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${path}: ${whyUnreadable(error)}`);
  } finally {
    source.destroy();
  }
  const last = rest + decoder.end();
  if (last !== '') yield [last];
}

/** The file's bytes, unpacked where the first two say gzip. It is read once, so that a pipe will do. */
async function* unpacked(source: ReadStream, path: string): AsyncGenerator<Buffer> {
  const pieces: AsyncIterator<Buffer> = source[Symbol.asyncIterator]();
  const first = await pieces.next();
  if (first.done === true) return;
  const all = withFirst(first.value, pieces);
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) {
    if (first.value.subarray(0, 4096).includes(0))
      throw new UsageError(
        `${path}: a binary file; print it as text first (trace-cmd report, or perf script)`,
      );
    yield* all;
    return;
  }
  try {
    const unpack = createGunzip({ chunkSize: PIECE });
    // What goes wrong on the way comes out of the loop over `unpack`.
    pipeline(Readable.from(all), unpack, () => {});
    yield* unpack as AsyncIterable<Buffer>;
  } catch (error) {
    throw new UsageError(`${path}: damaged gzip file: ${firstLine(error)}`);
  }
}

async function* withFirst(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

/** A trace that is read twice has to be a file: a pipe gives what it has once. */
export async function mustBeFile(path: string, cwd: string): Promise<void> {
  const found = await stat(resolve(cwd, path)).catch(() => undefined);
  if (found !== undefined && !found.isFile() && !found.isDirectory())
    throw new UsageError(`${path}: it is read twice, and this is no file; save it first`);
}

async function sizeOf(path: string, file: string): Promise<number> {
  try {
    const found = await stat(file);
    if (found.isDirectory()) throw new UsageError(`${path}: it is a folder, a file is needed`);
    return found.size;
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${path}: ${whyUnreadable(error)}`);
  }
}
