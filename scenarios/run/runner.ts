/**
 * Compares: every scenario under every strategy, each on a fresh machine, into one Comparison. The machine,
 * the measuring and the progress come in from outside, so that nothing here knows an engine or a clock.
 */
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { type CostProfile, priceLife, priceOf } from '../../engine/cost.ts';
import type { Machine, Paging } from '../../engine/machine.ts';
import { decisionsOf, type Patch } from '../../engine/policy.ts';
import type { Vmm } from '../../engine/vmm/vmm.ts';
import type { Strategy } from '../../strategies/strategy.ts';
import { type AnyParams, resolveParams } from '../language/params.ts';
import { checkMemory } from '../language/regions.ts';
import type { Scenario } from '../language/scenario.ts';
import {
  COMPARISON_SCHEMA,
  type Comparison,
  type PatchInfo,
  type Run,
  type ScenarioInfo,
  type StrategyInfo,
  type Timing,
} from './comparison.ts';
import { drive } from './drive.ts';
import { bootProgram, budgetOf, exitsMaxOf, type Program, prepareProgram, runProgram } from './run.ts';

/** What a machine is made for. */
export interface MachineRequest {
  readonly series: readonly Patch[];
  readonly paging: Paging;
  readonly seed: number;
  /** Guest instructions one KVM_RUN may take before the guest counts as looping. */
  readonly budget: number;
}

/**
 * Measures one run from outside: calls `prepare` (untimed) and then `run` (timed) as often as it likes.
 * `operations` is what one `run` does. Undefined when it could not be measured.
 */
export type Measure = (
  run: () => void,
  operations: number,
  prepare: () => void,
) => Promise<Timing | undefined>;

/** What a comparison is made of. */
export interface CompareOptions {
  readonly scenarios: readonly Scenario[];
  readonly strategies: readonly Strategy[];
  readonly paging: Paging;
  /** Chooses the bytes of the ROMs. */
  readonly seed: number;
  /** Parameters by name; each goes to every scenario that has it. */
  readonly params: Readonly<Record<string, string | number>>;
  /** Version of this program. */
  readonly version: string;
  /** The command that makes the comparison again. */
  readonly command: string;
  readonly createMachine: (request: MachineRequest) => Machine;
  /** Prices the runs; nothing is priced without it. */
  readonly profile?: CostProfile;
  /** Measures the runs whose guest finishes; nothing is timed without it. */
  readonly measure?: Measure;
  /** Called before each run, and once at the end with `done === total`. */
  readonly onProgress?: (progress: Progress) => void;
  /** Ends the comparison after the run it is in; what is finished is kept. */
  readonly signal?: AbortSignal;
}

/** How far a comparison has come. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly scenario: string;
  readonly strategy: string;
}

/** Parameters of each scenario, or one sentence that says what is wrong with what was given. */
export type ScenarioParams = { readonly params: ReadonlyMap<string, AnyParams> } | { readonly error: string };

/** Hands each parameter to the scenarios that have it; one that none of them has is an error. */
export function paramsFor(
  scenarios: readonly Scenario[],
  given: Readonly<Record<string, string | number>>,
): ScenarioParams {
  for (const name of Object.keys(given)) {
    if (!scenarios.some((s) => s.params !== undefined && Object.hasOwn(s.params, name))) {
      const known = [...new Set(scenarios.flatMap((s) => Object.keys(s.params ?? {})))].join(', ');
      const has =
        scenarios.length === 1
          ? `scenario ${scenarios[0]?.name} has no`
          : 'none of the chosen scenarios has a';
      return { error: `${has} parameter '${name}' (known: ${known || 'none'})` };
    }
  }
  const params = new Map<string, AnyParams>();
  for (const scenario of scenarios) {
    const specs = scenario.params ?? {};
    const own = Object.fromEntries(Object.entries(given).filter(([name]) => Object.hasOwn(specs, name)));
    const resolved = resolveParams(specs, own);
    if ('error' in resolved) return { error: `scenario ${scenario.name}: ${resolved.error}` };
    params.set(scenario.name, resolved.values);
  }
  return { params };
}

/** All of a Comparison but its runs. */
export type Frame = Omit<Comparison, 'runs' | 'conformance' | 'interrupted'>;

/** A comparison ready to be run, cell by cell and in any order: each on a fresh machine, so that none depends on another. */
export interface Prepared {
  readonly frame: Frame;
  /** Runs the scenario under the strategy, by their places in the frame; undefined if `signal` ended it. */
  readonly run: (scenario: number, strategy: number, signal?: AbortSignal) => Promise<Run | undefined>;
}

/** Checks the input and rejects it with one clear sentence (`paramsFor` and `checkMemory` tell it beforehand). */
export function prepareComparison(options: CompareOptions): Prepared {
  const { scenarios, strategies } = options;
  const resolved = paramsFor(scenarios, options.params);
  if ('error' in resolved) throw new Error(resolved.error);
  for (const scenario of scenarios) {
    const wrong = checkMemory(scenario.memory);
    if (wrong !== undefined) throw new Error(`scenario ${scenario.name}: ${wrong}`);
  }
  const paramsOf = (s: Scenario): AnyParams => resolved.params.get(s.name) ?? {};
  let last: Program | undefined;
  return {
    frame: {
      schema: COMPARISON_SCHEMA,
      version: options.version,
      command: options.command,
      seed: options.seed,
      paging: options.paging,
      ...(options.profile === undefined ? {} : { profile: options.profile.name }),
      strategies: strategies.map(strategyInfo),
      scenarios: scenarios.map((s) => scenarioInfo(s, paramsOf(s))),
    },
    async run(i, j, signal) {
      const [scenario, strategy] = [scenarios[i], strategies[j]];
      if (scenario === undefined || strategy === undefined) throw new Error(`there is no run ${i}, ${j}`);
      if (last?.scenario !== scenario) last = programOf(scenario, paramsOf(scenario), options.seed);
      return runOne(last, strategy, options, signal);
    },
  };
}

/** The Comparison that so many runs of a frame make; fewer than all, and it was interrupted. */
export function comparisonOf(frame: Frame, runs: readonly Run[]): Comparison {
  const total = frame.scenarios.length * frame.strategies.length;
  return { ...frame, runs, ...(runs.length < total ? { interrupted: true } : {}) };
}

/** Runs everything, one cell after the other; guest trouble is a fate, never an error. */
export const compare = async (options: CompareOptions): Promise<Comparison> =>
  runPrepared(prepareComparison(options), options.signal, options.onProgress);

/** Runs what was prepared, one cell after the other. */
export async function runPrepared(
  { frame, run }: Prepared,
  signal?: AbortSignal,
  onProgress?: (progress: Progress) => void,
): Promise<Comparison> {
  const runs: Run[] = [];
  const total = frame.scenarios.length * frame.strategies.length;
  for (const [i, scenario] of frame.scenarios.entries()) {
    for (const [j, strategy] of frame.strategies.entries()) {
      if (signal?.aborted) break;
      onProgress?.({ done: runs.length, total, scenario: scenario.name, strategy: strategy.name });
      await pause();
      const finished = await run(i, j, signal);
      if (finished !== undefined) runs.push(finished);
    }
  }
  const last = runs.at(-1);
  if (last !== undefined) {
    onProgress?.({ done: runs.length, total, scenario: last.scenario, strategy: last.strategy });
  }
  return comparisonOf(frame, runs);
}

/** Assembles the guest; an author's mistake is told with the scenario's name. */
function programOf(scenario: Scenario, params: AnyParams, seed: number): Program {
  try {
    return prepareProgram(scenario, params, seed);
  } catch (error) {
    throw new Error(`scenario ${scenario.name}: ${error instanceof Error ? error.message : error}`);
  }
}

/** One run; undefined if it was interrupted. */
async function runOne(
  program: Program,
  strategy: Strategy,
  options: CompareOptions,
  signal: AbortSignal | undefined,
): Promise<Run | undefined> {
  const { paging, seed, createMachine, measure } = options;
  const budget = budgetOf(program);
  const machine = (): Machine => createMachine({ series: strategy.series, paging, seed, budget });
  const stop = async (): Promise<boolean> => {
    await pause();
    return signal?.aborted === true;
  };
  const finished = await runProgram(program, strategy, paging, machine(), stop);
  if (finished === undefined) return undefined;
  const run = priced(finished, options.profile);
  if (measure === undefined || (run.fate !== 'ok' && run.fate !== 'corrupt')) return run;
  let vmm: Vmm | undefined;
  const prepare = (): void => {
    vmm = bootProgram(program, strategy, machine());
  };
  const again = (): void => {
    if (vmm !== undefined) drive(vmm, program.scenario, program.params, exitsMaxOf(program));
  };
  const timing = await measure(again, Math.max(1, run.operations), prepare);
  return timing === undefined ? run : { ...run, timing };
}

/** A run with its predicted cost, and the life of its faults with prices. */
function priced(run: Run, profile: CostProfile | undefined): Run {
  if (profile === undefined || run.steps === undefined) return run;
  const cost = priceOf(profile, run.steps, run.operations);
  return { ...run, cost, ...(run.life === undefined ? {} : { life: priceLife(profile, run.life) }) };
}

/** Lets the event loop go round, so that a signal can be heard. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** A strategy as reports name it. */
export function strategyInfo(strategy: Strategy): StrategyInfo {
  const { name, cover, source, cross } = strategy;
  const series = strategy.series.map(patchInfo);
  const info = { name, cover, source, layout: layoutInWords(strategy), series };
  return cross === undefined ? info : { ...info, cross };
}

/** A patch as reports name it. */
export function patchInfo(patch: Patch): PatchInfo {
  const { name, subject, source } = patch;
  return { name, subject, source, decisions: decisionsOf(patch) };
}

/** A scenario as reports name it. */
export function scenarioInfo(scenario: Scenario, params: AnyParams): ScenarioInfo {
  const { name, asks, operation, source } = scenario;
  return { name, asks, operation, source, params };
}

/** `READONLY slot, MAP_SHARED shm, PROT_READ|PROT_WRITE`. */
export function layoutInWords({ layout }: Strategy): string {
  const { slotFlags, prot } = layout;
  const flags = [
    (slotFlags ?? 0) & KVM_MEM_READONLY ? 'READONLY' : '',
    (slotFlags ?? 0) & KVM_MEM_LOG_DIRTY_PAGES ? 'LOG_DIRTY_PAGES' : '',
  ].filter(Boolean);
  const slot = slotFlags === null ? 'no slot' : `${flags.join('|') || 'plain'} slot`;
  const rights = [prot & PROT_READ ? 'PROT_READ' : '', prot & PROT_WRITE ? 'PROT_WRITE' : ''].filter(Boolean);
  return `${slot}, ${layout.shared ? 'MAP_SHARED' : 'MAP_PRIVATE'} ${layout.backing}, ${rights.join('|') || 'PROT_NONE'}`;
}
