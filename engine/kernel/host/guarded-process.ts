/**
 * A process that outlives neither this program nor its own folder. A small shell stands between: it starts the
 * process, waits until our end of a pipe closes (we stopped, or were killed in whatever way), ends the process and
 * removes the folder. SIGTERM to the shell ends the process alone. In a session of its own, so that Ctrl-C at the
 * terminal reaches this program first.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GUARD = `
dir=$1; shift
exec 3<&0
sh -c 'echo $$ >"$0/pid"; exec "$@"' "$dir" "$@" 3<&- & q=$!
cat <&3 >/dev/null & c=$!
trap 'kill -9 $q' TERM
trap '' INT HUP
while kill -0 $c 2>/dev/null; do wait $c; done
kill -9 $q 2>/dev/null
wait
rm -rf "$dir"
`;

/** A fresh folder for pipes, images and consoles; it goes with the process that is started in it. */
export function makeRunFolder(): string {
  return mkdtempSync(join(tmpdir(), 'faultline-kernel-'));
}

/** Makes named pipes `NAME.in` and `NAME.out` in a folder. */
export function makePipes(folder: string, names: readonly string[]): void {
  const paths = names.flatMap((name) => [`${name}.in`, `${name}.out`]);
  execFileSync('mkfifo', ['-m', '600', ...paths.map((p) => join(folder, p))]);
}

/** What a guarded process is started with. */
export interface GuardedOptions {
  readonly folder: string;
  readonly command: string;
  readonly args: readonly string[];
  /** File in the folder that its standard error goes to. */
  readonly log: string;
}

/** A running process and its guard. */
export class GuardedProcess {
  readonly folder: string;
  readonly #guard: ChildProcess;
  #stopped = false;

  constructor(options: GuardedOptions) {
    this.folder = options.folder;
    const log = openSync(join(options.folder, options.log), 'w');
    this.#guard = spawn('/bin/sh', ['-c', GUARD, 'guard', options.folder, options.command, ...options.args], {
      stdio: ['pipe', 'ignore', log],
      detached: true,
    });
    closeSync(log);
    // An error shows as a dead process. Neither the guard nor the pipe to it keeps this program from ending.
    this.#guard.on('error', () => undefined);
    this.#guard.unref();
    const pipe = this.#guard.stdin;
    pipe?.on('error', () => undefined);
    if (pipe instanceof Socket) pipe.unref();
  }

  /** The guard's process id: SIGTERM to it ends the process. */
  get guardPid(): number {
    return this.#guard.pid ?? 0;
  }

  /** The process's id; undefined before it has started. */
  get pid(): number | undefined {
    const text = readText(join(this.folder, 'pid'));
    return text?.endsWith('\n') ? Number(text) : undefined;
  }

  /** It has not ended; true while it is still to start. */
  get alive(): boolean {
    if (this.#stopped || this.#guard.pid === undefined) return false;
    const { pid } = this;
    if (pid === undefined) return stateOf(this.#guard.pid) !== 'Z' && stateOf(this.#guard.pid) !== undefined;
    const state = stateOf(pid);
    return state !== undefined && state !== 'Z';
  }

  /** Seconds of CPU time it has used. */
  get cpuSeconds(): number {
    const stat = readText(`/proc/${this.pid}/stat`)?.split(') ')[1]?.split(' ') ?? [];
    // utime and stime, in hundredths of a second on every x86 kernel.
    return (Number(stat[11] ?? 0) + Number(stat[12] ?? 0)) / 100;
  }

  /** What it wrote to its log, or to another file of the folder. */
  text(file: string): string {
    return readText(join(this.folder, file)) ?? '';
  }

  /** Ends the process and removes its folder. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const { pid } = this;
    if (pid !== undefined && stateOf(pid) !== undefined) {
      try {
        process.kill(this.guardPid, 'SIGTERM');
      } catch {
        // The guard is gone, and with it the process.
      }
    }
    this.#guard.stdin?.destroy();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The process's state letter; undefined if there is none. */
function stateOf(pid: number): string | undefined {
  return readText(`/proc/${pid}/stat`)?.split(') ')[1]?.[0];
}
