/**
 * Worker processes that do tasks. Each task has a deadline and a limit of memory; a worker that keeps to neither is ended,
 * and another takes its place. Processes and not threads: a thread that runs out of memory takes the program with it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Failure, Order, Reply, ServiceName } from './messages.ts';

/** What a worker's last words hold when it ran out of memory: the language engine's, or its watchdog's. */
const FATAL = /FATAL ERROR: .*out of memory/;
/** Characters of a worker's last words that are kept. */
const LAST_WORDS = 4096;

const CHILD = new URL('./child.js', import.meta.url);

/** False when the program runs from its sources: a fresh process needs the built one. */
export const hasWorkers = (): boolean => existsSync(CHILD);

/** How an order ended that got no answer. */
export type End =
  | { readonly end: 'timed-out' | 'out-of-memory' | 'stuck' | 'killed' }
  /** The process ended by itself: an exit code or a signal's name. */
  | { readonly end: 'exited'; readonly how: string };

/** What became of an order; `doing` is what the worker had last said that it would do. */
export type Outcome<T> = { readonly doing: string } & (
  | { readonly answer: T }
  | { readonly failed: Failure }
  | End
);

/** What a worker is started with. */
export interface WorkerOptions {
  readonly service: ServiceName;
  readonly setup: unknown;
  /** MiB. */
  readonly memory: number;
  /** Hears what the worker's process prints, whole lines. */
  readonly onText: (line: string) => void;
  /** Hears of what went wrong outside any order. */
  readonly onLate: (failure: Failure) => void;
}

/** One worker process, one order at a time. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  #settle: ((outcome: Outcome<unknown>) => void) | undefined;
  #doing = '';
  #timer: NodeJS.Timeout | undefined;
  #seconds = 0;
  #killed: 'timed-out' | 'killed' | undefined;
  #lastWords = '';
  #gone = false;

  constructor(options: WorkerOptions) {
    this.#child = fork(fileURLToPath(CHILD), {
      execArgv: [`--max-old-space-size=${options.memory}`],
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child.on('message', (reply: Reply) => this.#hear(reply, options));
    this.#child.on('error', () => this.#child.kill('SIGKILL'));
    this.#child.on('close', (code, signal) => this.#ended(code, signal));
    lines(this.#child.stdout, options.onText);
    let dying = false;
    lines(this.#child.stderr, (line) => {
      this.#lastWords = (this.#lastWords + line).slice(-LAST_WORDS);
      // What the language engine prints when it gives up is for its makers.
      dying ||= line.includes('<--- Last few GCs --->') || FATAL.test(line);
      if (!dying && line.trim() !== '') options.onText(line);
    });
  }

  /** Usable for another order. */
  get alive(): boolean {
    return !this.#gone && this.#killed === undefined;
  }

  /** Gives an order; every answer or word of progress has to come within `seconds`, the first within `first`. */
  order<T>(order: Order, seconds: number, first = seconds): Promise<Outcome<T>> {
    return new Promise((resolve) => {
      this.#settle = (outcome) => resolve(outcome as Outcome<T>);
      this.#seconds = seconds;
      if (this.#gone) return this.#finish({ end: 'killed' });
      this.#restartTimer(first);
      this.#child.send(order, (error) => error && this.#child.kill('SIGKILL'));
    });
  }

  /** Ends the process, whatever it is doing. */
  kill(why: 'timed-out' | 'killed' = 'killed'): void {
    this.#killed ??= why;
    this.#child.kill('SIGKILL');
  }

  #hear(reply: Reply, options: WorkerOptions): void {
    if ('late' in reply) options.onLate(reply.late);
    else if ('doing' in reply) {
      this.#doing = reply.doing;
      this.#restartTimer(this.#seconds);
    } else if ('stuck' in reply) {
      if (this.#settle === undefined) return;
      this.#finish({ end: 'stuck' });
      this.kill();
    } else this.#finish(reply);
  }

  #restartTimer(seconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kill('timed-out'), seconds * 1000);
  }

  #finish(outcome: { readonly answer: unknown } | { readonly failed: Failure } | End): void {
    clearTimeout(this.#timer);
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.({ ...outcome, doing: this.#doing });
  }

  #ended(code: number | null, signal: string | null): void {
    this.#gone = true;
    if (this.#killed !== undefined) this.#finish({ end: this.#killed });
    // A SIGKILL that is not ours is the system's, which has no memory left.
    else if (FATAL.test(this.#lastWords) || signal === 'SIGKILL') this.#finish({ end: 'out-of-memory' });
    else this.#finish({ end: 'exited', how: signal ?? `exit code ${code}` });
  }
}

/** Longest line that is handed on whole, in characters. */
const LINE_MAX = 4096;

function lines(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  let rest = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = (parts.pop() ?? '').slice(-LINE_MAX);
    for (const line of parts) onLine(line.slice(0, LINE_MAX));
  });
  stream?.on('end', () => rest !== '' && onLine(rest));
}
