/**
 * The columns before an event's text, in the three shapes people have: the kernel's own (`trace`, `trace_pipe`),
 * `trace-cmd report`, and `perf script`. Task names may hold anything, also spaces and digits (`CPU 0/KVM`).
 */

/** A line taken apart; one record, refilled by `splitLine()`. */
export interface Split {
  task: string;
  thread: number;
  cpu: number;
  time: number;
  event: string;
  text: string;
}

const SPACE = 32;

/**
 * Takes a line apart into `into`; false for a line that is no event in any of the shapes:
 * `TASK-PID (TGID) [CPU] FLAGS TIME: event: text`, with or without the group and the flags (kernel, trace-cmd), and
 * `COMM PID/TID [CPU] TIME: PERIOD group:event: text`, with or without the process and the period (perf).
 * By hand, for this is where reading a long trace spends its time.
 */
export function splitLine(line: string, into: Split): boolean {
  return splitWithCpu(line, into) || splitWithoutCpu(line, into);
}

function splitWithCpu(line: string, into: Split): boolean {
  const open = line.indexOf('[');
  const close = line.indexOf(']', open);
  if (open < 0 || close < 0) return false;
  const colon = line.indexOf(': ', close);
  if (colon < 0) return false;
  const time = Number(line.slice(line.lastIndexOf(' ', colon) + 1, colon));
  const cpu = Number(line.slice(open + 1, close));
  if (Number.isNaN(time) || Number.isNaN(cpu)) return false;
  if (!splitTask(line, open, into) || !splitEvent(line, colon + 1, into)) return false;
  into.time = time;
  into.cpu = cpu;
  return true;
}

/** perf leaves the processor out where it followed one thread. */
const WITHOUT_CPU = /^\s*(.*?)\s+(?:\d+\/)?(\d+)\s+(\d+\.\d+): (.*)$/;

function splitWithoutCpu(line: string, into: Split): boolean {
  const m = WITHOUT_CPU.exec(line);
  if (m === null || !splitEvent(m[4] ?? '', 0, into)) return false;
  into.task = m[1] ?? '';
  into.thread = Number(m[2]);
  into.cpu = -1;
  into.time = Number(m[3]);
  return true;
}

/** The task and its thread, which end before `end`. */
function splitTask(line: string, end: number, into: Split): boolean {
  let last = skipBack(line, end);
  // The group of threads, where the tracer wrote it down: `(  101)`, `(-----)`.
  if (line[last - 1] === ')') last = skipBack(line, line.lastIndexOf('(', last));
  let first = last;
  while (first > 0 && isDigit(line.charCodeAt(first - 1))) first -= 1;
  if (first === last || first === 0) return false;
  into.thread = Number(line.slice(first, last));
  let task = first - 1;
  // perf: the process and a slash before the thread.
  if (line[task] === '/') while (task > 0 && isDigit(line.charCodeAt(task - 1))) task -= 1;
  into.task = line.slice(0, task).trim();
  return true;
}

/** The event's name and text, from `at` on; perf may write how many events a sample stands for, and the group. */
function splitEvent(line: string, at: number, into: Split): boolean {
  let first = skip(line, at);
  let colon = line.indexOf(':', first);
  if (colon < 0) return false;
  if (isDigit(line.charCodeAt(first))) first = skip(line, line.indexOf(' ', first));
  if (line.charCodeAt(colon + 1) !== SPACE && colon + 1 < line.length) {
    first = colon + 1;
    colon = line.indexOf(':', first);
    if (colon < 0) return false;
  }
  const name = line.slice(first, colon);
  if (name.length === 0 || name.includes(' ')) return false;
  into.event = name;
  into.text = line.slice(skip(line, colon + 1)).trimEnd();
  return true;
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** Past the spaces that stand at `at`. */
function skip(line: string, at: number): number {
  let i = at;
  while (line.charCodeAt(i) === SPACE) i += 1;
  return i;
}

/** Back over the spaces that stand before `at`. */
function skipBack(line: string, at: number): number {
  let i = at;
  while (i > 0 && line.charCodeAt(i - 1) === SPACE) i -= 1;
  return i;
}

/**
 * A line that is about the trace and no event of it: heads and comments of the kernel's file, and what trace-cmd and
 * perf write between events.
 */
export function isRemark(line: string): boolean {
  return /^\s*(?:$|#|cpus=\d|version = |CPU \d+ is empty|trace\.dat|\[?\w*trace-cmd\]?)/.test(line);
}

/** Events that were lost where this line stands, or undefined; 0 where it does not say how many. */
export function lostEvents(line: string): number | undefined {
  const m = /\[LOST (\d+) EVENTS\]|\[(?:(\d+) )?EVENTS DROPPED\]|\bLOST (\d+) events|(\d+) events lost/i.exec(
    line,
  );
  return m === null ? undefined : Number(m[1] ?? m[2] ?? m[3] ?? m[4] ?? 0);
}
