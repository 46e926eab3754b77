/**
 * The life of the first faults, for those who want to see them step by step. The vCPU tells what happens; how a fault
 * was handled is told from its record (fault.ts), and the fault path entry by entry, as the word in the record takes it.
 */
import {
  PAGE_SIZE,
  PFERR_FETCH,
  PFERR_GUEST_PAGE,
  PFERR_PRESENT,
  PFERR_RSVD,
  PFERR_WRITE,
} from '../../../abi.ts';
import { describeFacts } from '../../../facts.ts';
import type { FaultKind, Life, LifeStep } from '../../../observation.ts';
import { applySeries, type FaultPolicy, type Patch } from '../../../policy.ts';
import { type Place, STEP_INDEX, STEPS, type Step } from '../../../steps.ts';
import { HOST_COW } from '../../host/host-fault.ts';
import { STEP_COUNTS, type Vm } from '../../vm.ts';
import { type Fault, HOW_MMIO, HOW_PATH, HOW_STALE, HOWS } from './fault.ts';
import { type Asked, walkFault } from './fault-path.ts';

/** Steps kept of each fault: a guest that loops for ever fills no memory. */
const STEPS_MAX = 48;

/** A life that is being told. */
interface Telling {
  readonly key: string;
  readonly rip: string;
  readonly instruction: string;
  readonly linear: string | undefined;
  readonly access: Life['access'];
  gpa: string;
  facts: string;
  /** The facts of its last fault that anybody looked up. */
  lastFacts: string | undefined;
  readonly faults: Partial<Record<FaultKind, number>>;
  readonly steps: LifeStep[];
  untold: number;
}

/** An entry to come, with the steps that are its own. */
interface Entry {
  readonly step: LifeStep;
  readonly work: Step[];
}

/** Keeps the first faults of a machine. */
export class LifeRecorder {
  readonly #series: readonly Patch[];
  /** The base, and what each patch of the series made of it. */
  readonly #policies: readonly FaultPolicy[];
  readonly #lives: Telling[] = [];
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
    const kernels = most === 0 ? [] : [undefined, ...series];
    this.#policies = kernels.map((_, i) => applySeries(series.slice(0, i)));
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
  begin(rip: number, fault: Fault, instruction: string): void {
    const { address, code, direct } = fault;
    const key = `${rip}/${Math.floor(address / PAGE_SIZE)}`;
    if (this.#lives.at(-1)?.key === key && this.#open && !this.#left) return;
    this.#left = false;
    this.#open = this.#lives.length < this.#most;
    if (!this.#open) return;
    this.#lives.push({
      key,
      rip: rip.toString(16),
      instruction,
      linear: direct ? undefined : address.toString(16),
      access: (code & PFERR_WRITE) !== 0 ? 'write' : (code & PFERR_FETCH) !== 0 ? 'fetch' : 'read',
      gpa: direct ? address.toString(16) : '',
      facts: '',
      lastFacts: undefined,
      faults: {},
      steps: [],
      untold: 0,
    });
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

  /** A question of the seam was put. */
  decided(at: Place, says: string, asked: Asked): void {
    this.#push({ at, says, ...this.#decider(asked) });
  }

  /** The MMU is done with a fault: which way it took, from its record. */
  tell(fault: Fault): void {
    const life = this.#lives.at(-1);
    if (!this.#open || life === undefined) return;
    // Told afterwards: each entry takes the steps that were its own, and the first the rest.
    const walked = fault.direct ? [] : this.#take('guest-walk', 'host-fault', 'host-io');
    const looked = this.#take('fast-page-fault');
    const onPath = fault.how === HOW_PATH || fault.how === HOW_STALE;
    const entries = onPath ? this.#path(fault) : [{ step: wayOf(fault), work: looked }];
    if (onPath && fault.lookedFast) entries.unshift({ step: NOT_FAST, work: looked });
    if (!fault.direct && fault.how !== HOW_MMIO) {
      if (fault.gfn < 0) entries[0]!.work.push(...walked);
      else entries.unshift({ step: this.#found(life, fault), work: walked });
    }
    const opening: LifeStep = { at: 'kvm_mmu_page_fault()', says: openingSays(fault.code) };
    this.#push(this.#withFacts(life, opening, fault.word), onPath ? ['page-fault'] : []);
    for (const { step, work } of entries) this.#push(step, work);
  }

  /** KVM's walk of the guest's tables found the page. */
  #found(life: Telling, { gfn, address, skippedBits }: Fault): LifeStep {
    life.gpa = (gfn * PAGE_SIZE + (address % PAGE_SIZE)).toString(16);
    const skipped = skippedBits
      ? '; an accessed or dirty bit is left out, its table is in a read-only slot'
      : '';
    return { at: 'walk_addr_generic()', says: `the guest's tables lead to gpa 0x${life.gpa}${skipped}` };
  }

  /** The fault is over: what it counts as. */
  counted(fault: Fault): void {
    const { kind } = fault;
    const life = this.#lives.at(-1);
    if (this.#open && life !== undefined && kind !== undefined)
      life.faults[kind] = (life.faults[kind] ?? 0) + 1;
  }

  /** The fault path, entry by entry, with the patch that decided each decision. */
  #path(fault: Fault): Entry[] {
    const copied = this.#take('host-cow');
    const beside = this.#take('host-map');
    const mapped = this.#take('stage2-map');
    const entries: Entry[] = [];
    walkFault(fault.word, this.#policies.at(-1)!, (at, says, step, asked) => {
      const decider = asked === undefined ? {} : this.#decider(asked);
      entries.push({ step: { at, says, ...decider }, work: step === undefined ? [] : [step] });
      if (step !== 'host-fault') return;
      entries.at(-1)!.work.push(...beside);
      if ((fault.host & HOST_COW) !== 0) entries.push({ step: COPIED, work: copied });
    });
    // The path ends where an entry would be made.
    if (fault.how === HOW_STALE) entries.splice(-1, 1, { step: wayOf(fault), work: [] });
    entries.at(-1)?.work.push(...mapped.slice(0, mapped.length - fault.prefetched));
    if (fault.prefetched > 0) {
      const says = `as many neighbours as the host has mapped writable are mapped along: ${fault.prefetched}`;
      entries.push({ step: { at: 'direct_pte_prefetch()', says }, work: mapped.slice(-fault.prefetched) });
    }
    return entries;
  }

  /** The opening of a fault: the head of its life has the facts of the first, an entry has them where they changed. */
  #withFacts(life: Telling, opening: LifeStep, word: number): LifeStep {
    const before = life.lastFacts;
    if (word < 0) return opening;
    const facts = describeFacts(word);
    life.lastFacts = facts;
    if (before === undefined) life.facts = facts;
    return before === undefined || before === facts ? opening : { ...opening, facts };
  }

  #push(entry: LifeStep, own: readonly Step[] = []): void {
    const life = this.#lives.at(-1);
    if (!this.#open || life === undefined) return;
    const work = [...this.#workDone(), ...own];
    if (life.steps.length >= STEPS_MAX) life.untold++;
    else life.steps.push(work.length === 0 ? entry : { ...entry, work });
  }

  /** Steps counted since the last entry. Those that follow from a fault word are not among them. */
  #workDone(): Step[] {
    return this.#take(...STEPS);
  }

  /** These steps, as often as they were counted since they were last taken. */
  #take(...steps: readonly Step[]): Step[] {
    return steps.flatMap((step) => {
      const now = this.#vm.h[STEP_COUNTS + STEP_INDEX[step]]!;
      const times = now - this.#counted[STEP_INDEX[step]]!;
      this.#counted[STEP_INDEX[step]] = now;
      return new Array<Step>(Math.min(times, STEPS_MAX)).fill(step);
    });
  }

  /** The decision, and the last patch that changed the answer to this very question; no patch when the base decided. */
  #decider({ decision, answer }: Asked): Pick<LifeStep, 'decision' | 'patch'> {
    const answers = this.#policies.map(answer);
    const last = answers.findLastIndex((a, i) => i > 0 && a !== answers[i - 1]);
    return last < 0 ? { decision } : { decision, patch: this.#series[last - 1]!.name };
  }

  /** The lives so far, as plain data. */
  lives(limit: number): readonly Life[] {
    return this.#lives.slice(0, limit).map((l) => ({
      rip: l.rip,
      instruction: l.instruction,
      gpa: l.gpa,
      ...(l.linear === undefined ? {} : { linear: l.linear }),
      access: l.access,
      facts: l.facts,
      faults: { ...l.faults },
      steps: [...l.steps],
      ...(l.untold === 0 ? {} : { untold: l.untold }),
    }));
  }
}

/** Copy on write, where the host's fault came to that. */
const COPIED: LifeStep = {
  at: 'do_cow_fault()',
  says: 'the page is copied for this mapping; what stands behind it keeps its bytes',
};

/** An entry was there, but nothing that only waits to be written again. */
const NOT_FAST: LifeStep = { at: 'fast_page_fault()', says: 'not an entry that it may make writable' };

const wayOf = ({ how }: Fault): LifeStep => ({ at: HOWS[how]!.at, says: HOWS[how]!.says });

/** What the VM exit's error code says. */
function openingSays(code: number): string {
  const entry =
    (code & PFERR_RSVD) !== 0
      ? 'an MMIO entry'
      : (code & PFERR_PRESENT) !== 0
        ? 'a write that stage 2 does not allow'
        : 'no stage-2 entry';
  return (code & PFERR_GUEST_PAGE) === 0 ? entry : `${entry}, for a page table that the processor walks`;
}
