/** A plan run in worker processes: which of them does what, and what becomes of a run that does not come back. */

import { visible } from '../../reports/print/escape.ts';
import { AGREEMENT } from '../../scenarios/conform/agreement.ts';
import { COMPARISON_SCHEMA, type Comparison, type Run } from '../../scenarios/run/comparison.ts';
import { comparisonOf, type Frame } from '../../scenarios/run/runner.ts';
import { unfinishedRun } from '../../scenarios/run/unfinished.ts';
import { type Io, UsageError } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import type { Failure } from '../pool/messages.ts';
import { type Outcome, WorkerProcess } from '../pool/pool.ts';
import { version } from '../version.ts';
import { modulesOf, type Plan, type Ready } from './plan.ts';
import type { Cell } from './serve-cells.ts';
import { Shared } from './shared.ts';

/** Seconds that a worker may take to start, on a machine that has much else to do. */
const START_MAX = 120;
/** Seconds that loading a module, or asking it, may take at most. */
const LOADING_MAX = 20;
/** Seconds for what went wrong unheard to be heard at the end. */
const LAST_WORDS = 5;
/** Lines of a module's own output that are passed on. */
const LINES_MAX = 1000;

/** Starts the workers and makes the plan ready in each. */
export async function readyWorkers(plan: Plan, io: Io): Promise<Ready> {
  const crew = new Crew(plan, io);
  try {
    await crew.muster();
  } catch (error) {
    crew.close();
    throw error;
  }
  return { run: () => crew.run(), close: () => crew.close() };
}

class Crew {
  readonly #plan: Plan;
  readonly #io: Io;
  readonly #modules: string;
  readonly #workers: WorkerProcess[] = [];
  readonly #readiness = new Map<WorkerProcess, Promise<Frame | undefined>>();
  readonly #runs: Run[] = [];
  readonly #shared = new Shared();
  #frame: Frame | undefined;
  #next = 0;
  #done = 0;
  #lines = 0;
  #error: Error | undefined;
  #closed = false;

  constructor(plan: Plan, io: Io) {
    this.#plan = plan;
    this.#io = io;
    this.#modules = modulesOf(plan).join(', ');
    io.signal.addEventListener('abort', () => this.close());
  }

  /** Starts as many workers as there is work for; the first that is ready knows how much there is. */
  async muster(): Promise<void> {
    const { scenarios, strategies, limits } = this.#plan;
    const runs = (scenarios?.length ?? Infinity) * (strategies?.length ?? Infinity);
    for (let i = 0; i < Math.min(limits.jobs, runs); i++) this.#start();
    this.#frame = await this.#readiness.get(this.#workers[0] as WorkerProcess);
  }

  #start(): WorkerProcess {
    const { memory, timeout } = this.#plan.limits;
    const worker = new WorkerProcess({
      service: 'cells',
      setup: this.#plan,
      memory,
      onText: (line) => this.#say(line),
      onLate: (failure) => this.#fail(this.#blame(failure, 'later on')),
    });
    this.#workers.push(worker);
    const setup = worker.order<Frame>(
      { service: 'cells', setup: this.#plan, memory },
      Math.min(timeout, LOADING_MAX),
      START_MAX,
    );
    const ready = setup.then((outcome) => this.#frameOf(outcome));
    ready.catch(() => {});
    this.#readiness.set(worker, ready);
    return worker;
  }

  #frameOf(outcome: Outcome<Frame>): Frame | undefined {
    if ('answer' in outcome) return outcome.answer;
    if ('failed' in outcome) throw this.#blame(outcome.failed, 'before anything was run');
    const { doing } = outcome;
    if (doing === '' && outcome.end !== 'killed') {
      throw new Error(`a worker process did not start: ${'how' in outcome ? outcome.how : outcome.end}`);
    }
    const { memory, timeout } = this.#plan.limits;
    switch (outcome.end) {
      case 'killed':
        return undefined;
      case 'timed-out':
        throw new UsageError(`${doing} took more than ${Math.min(timeout, LOADING_MAX)} s`);
      case 'out-of-memory':
        throw new UsageError(`${doing} took more than ${memory} MiB of memory (--memory)`);
      case 'stuck':
        throw new UsageError(`${doing} never ends: it waits for a promise that nothing will resolve`);
      case 'exited':
        throw new UsageError(`${doing} ended the process (${outcome.how}); a module has to come back`);
    }
  }

  /** A thrown thing, as the user's mistake if a module of the user's took part, else as ours. */
  #blame({ usage, line, stack }: Failure, when: string): Error {
    if (usage) return new UsageError(line);
    if (this.#modules !== '') return new UsageError(`${this.#modules}: failed ${when}: ${line}`);
    const error = new Error(line);
    error.stack = stack;
    return error;
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.close();
  }

  /** A module's own output: to standard error, marked, for standard output is the report's. */
  #say(line: string): void {
    if (this.#lines > LINES_MAX) return;
    this.#lines += 1;
    this.#io.err(this.#lines > LINES_MAX ? '| … and more\n' : `| ${visible(line)}\n`);
  }

  /** Does every run, each worker one after the other. */
  async run(): Promise<Comparison> {
    const frame = this.#frame;
    const line = createProgress(this.#io);
    try {
      if (frame !== undefined) await Promise.all(this.#workers.map((w) => this.#work(w, frame, line.show)));
      if (this.#modules !== '') {
        await Promise.all(
          this.#workers.filter((w) => w.alive).map((w) => w.order({ end: true }, LAST_WORDS)),
        );
      }
    } finally {
      line.clear();
      this.close();
    }
    if (this.#error !== undefined) throw this.#error;
    if (frame === undefined) return this.#nothing();
    return { ...comparisonOf(frame, this.#runs.filter(Boolean)), conformance: AGREEMENT };
  }

  /** Interrupted before it was known what there is to run. */
  #nothing(): Comparison {
    const { seed, paging, profile, command } = this.#plan;
    const empty = { scenarios: [], strategies: [], runs: [] };
    return {
      ...{ schema: COMPARISON_SCHEMA, version: version(), command, seed, paging, profile: profile.name },
      ...empty,
      interrupted: true,
    };
  }

  async #work(first: WorkerProcess, frame: Frame, show: (text: string) => void): Promise<void> {
    let worker = first;
    const columns = frame.strategies.length;
    const total = frame.scenarios.length * columns;
    while (!this.#closed && this.#next < total) {
      const index = this.#next++;
      const cell: Cell = { scenario: Math.floor(index / columns), strategy: index % columns };
      const [scenario, strategy] = [frame.scenarios[cell.scenario], frame.strategies[cell.strategy]];
      const place = `${scenario?.name} under ${strategy?.name}`;
      show(`${this.#done}/${total} ${place}`);
      try {
        if (!worker.alive) worker = this.#start();
        if ((await this.#readiness.get(worker)) === undefined) return;
        const run = this.#runOf(
          await worker.order<Run>({ task: cell }, this.#plan.limits.timeout),
          frame,
          cell,
          place,
        );
        if (run === undefined) return;
        this.#runs[index] = this.#shared.run(run);
        this.#done += 1;
      } catch (error) {
        return this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  #runOf(outcome: Outcome<Run>, frame: Frame, { scenario, strategy }: Cell, place: string): Run | undefined {
    if ('answer' in outcome) return outcome.answer;
    if ('failed' in outcome) throw this.#blame(outcome.failed, `when it was run, at ${place}`);
    const { memory, timeout } = this.#plan.limits;
    switch (outcome.end) {
      case 'killed':
        return undefined;
      case 'timed-out':
        return unfinishedRun(frame, scenario, strategy, 'timed-out', timeout);
      case 'out-of-memory':
        return unfinishedRun(frame, scenario, strategy, 'out-of-memory', memory);
      case 'stuck':
      case 'exited': {
        const how =
          'how' in outcome
            ? `ended the process (${outcome.how})`
            : 'waits for a promise that nothing will resolve';
        if (this.#modules === '') throw new Error(`a worker process ${how}, at ${place}`);
        throw new UsageError(`${this.#modules}: ${how}, at ${place}`);
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const worker of this.#workers) worker.kill();
  }
}
