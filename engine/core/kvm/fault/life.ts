/**
 * The life of the first faults, for those who want to see them step by step. The vCPU tells what happens; what
 * the fault path decided is told by walking it again with the word it met.
 */
import { describeFacts, F_WRITE, factsOf } from '../../../facts.ts';
import type { Life, LifeStep } from '../../../observation.ts';
import { applySeries, type Decision, type FaultPolicy, type Patch } from '../../../policy.ts';
import { type Place, STEP_INDEX, STEPS, type Step } from '../../../steps.ts';
import { STEP_COUNTS, type Vm } from '../../vm.ts';
import { walkFault, writablePfn } from './fault-path.ts';

/** Steps kept of each fault: a guest that loops for ever fills no memory. */
const STEPS_MAX = 48;
/** Steps counted where a page is mapped. */
const MAPPING = ['host-map', 'stage2-map'] as const satisfies readonly Step[];

/** Keeps the first faults of a machine. */
export class LifeRecorder {
  readonly #series: readonly Patch[];
  readonly #policies: readonly FaultPolicy[];
  readonly #lives: { head: Omit<Life, 'steps'>; steps: LifeStep[]; key: string }[] = [];
  /** The machine's step counters, and how they stood at the last entry. */
  readonly #vm: Vm;
  readonly #counted = new Int32Array(STEPS.length);
  readonly #most: number;
  #open = false;
  /** The fault ended in an exit to userspace: the next one is another. */
  #left = false;

  /** Keeps at most `most` lives; 0 for a machine whose faults nobody will ask about. */
  constructor(series: readonly Patch[], vm: Vm, most: number) {
    this.#series = series;
    this.#vm = vm;
    this.#most = most;
    this.#policies = most === 0 ? [] : series.map((_, i) => applySeries(series.slice(0, i + 1)));
  }

  /** True while there is somebody to tell: callers build their sentences only then. */
  get open(): boolean {
    return this.#open;
  }

  /** A fault that begins now would be kept, or goes on with the last one. */
  get wanted(): boolean {
    return this.#open || this.#lives.length < this.#most;
  }

  /** A fault begins. The same instruction faulting on the same page goes on with the same life. */
  begin(rip: number, gpa: number, access: Life['access'], instruction: string): void {
    const key = `${rip}/${Math.floor(gpa / 4096)}`;
    const last = this.#lives.at(-1);
    if (last?.key === key && this.#open && !this.#left) return;
    this.#left = false;
    this.#open = this.#lives.length < this.#most;
    if (!this.#open) return;
    const head = { rip: rip.toString(16), instruction, gpa: gpa.toString(16), access, facts: '' };
    this.#lives.push({ head, steps: [], key });
    // What came before is not this fault's; the VM exit that brought it is.
    this.#workDone();
    this.#counted[STEP_INDEX['world-switch']]!--;
  }

  /** KVM_RUN returned; what follows belongs to this life only until the next fault. */
  exited(says: string): void {
    this.note('KVM_RUN', says);
    this.#left = true;
  }

  /** Something happened that no policy decided. */
  note(at: Place, says: string): void {
    this.#push({ at, says });
  }

  /** The fault path met this word: told step by step, with the patch that decided each decision. */
  path(word: number, kvm: FaultPolicy): void {
    const last = this.#lives.at(-1);
    if (!this.#open || last === undefined) return;
    if (last.head.facts === '') last.head = { ...last.head, facts: describeFacts(word) };
    // The page was mapped before the path is told: that is the work of its last entry, not of its first.
    const mapped = MAPPING.flatMap((step) => this.#since(step));
    walkFault(word, kvm, (at, says, step, decision) => {
      if (decision === undefined) this.#push({ at, says }, step);
      else this.decided(at, says, decision, word, step);
    });
    const end = last.steps.at(-1);
    if (end === undefined || mapped.length === 0) return;
    last.steps[last.steps.length - 1] = { ...end, work: [...(end.work ?? []), ...mapped] };
  }

  /** A decision was taken for this word. */
  decided(at: Place, says: string, decision: Decision, word: number, step?: Step): void {
    const patch = this.#decidedBy(decision, word);
    this.#push(patch === undefined ? { at, says, decision } : { at, says, decision, patch }, step);
  }

  #push(entry: LifeStep, step?: Step): void {
    const steps = this.#lives.at(-1)?.steps;
    if (!this.#open || steps === undefined || steps.length >= STEPS_MAX) return;
    const work = [...this.#workDone(), ...(step === undefined ? [] : [step])];
    steps.push(work.length === 0 ? entry : { ...entry, work });
  }

  /** Steps counted since the last entry. Those that follow from a fault word are not among them. */
  #workDone(): Step[] {
    return STEPS.flatMap((step) => this.#since(step));
  }

  /** One step, as often as it was counted since the last entry. */
  #since(step: Step): Step[] {
    const now = this.#vm.h[STEP_COUNTS + STEP_INDEX[step]]!;
    const times = now - this.#counted[STEP_INDEX[step]]!;
    this.#counted[STEP_INDEX[step]] = now;
    return new Array<Step>(Math.min(times, STEPS_MAX)).fill(step);
  }

  /** The last patch whose application changed this decision for this word; undefined when the base decided. */
  #decidedBy(decision: Decision, word: number): string | undefined {
    let decider: string | undefined;
    let before = verdictOf(applySeries([]), decision, word);
    this.#policies.forEach((policy, i) => {
      const after = verdictOf(policy, decision, word);
      if (after !== before) decider = this.#series[i]?.name;
      before = after;
    });
    return decider;
  }

  /** The lives so far, as plain data. */
  lives(limit: number): readonly Life[] {
    return this.#lives.slice(0, limit).map((l) => ({ ...l.head, steps: [...l.steps] }));
  }
}

/** What a policy answers to one question about one word, as a comparable number. */
function verdictOf(kvm: FaultPolicy, decision: Decision, word: number): number {
  const f = factsOf(word);
  switch (decision) {
    case 'gfnToHva':
      return kvm.gfnToHva(f);
    case 'gupFailed':
      return kvm.gupFailed(f, true) * 8 + kvm.gupFailed(f, false);
    case 'handleBadPage':
      return kvm.handleBadPage(f, 4) * 8 + kvm.handleBadPage(f, 2);
    case 'reexecuteInstruction':
      return Number(kvm.reexecuteInstruction(f, writablePfn(word | F_WRITE, kvm)));
    default:
      return kvm.handleEmulationFailure(f);
  }
}
