/**
 * A recording run again under one strategy: a guest that touches the recorded pages in the recorded order, and a VMM that
 * makes the recorded slot calls between them, its read-only slots laid out as the strategy says. What KVM makes of each
 * access is told by its tracepoints and handed on beside what was recorded.
 */
import { errnoName, PAGE_SIZE } from '../../../engine/abi.ts';
import { exitSays } from '../../../engine/exits.ts';
import type { Machine } from '../../../engine/machine.ts';
import type { Tracepoints } from '../../../engine/tracepoints.ts';
import type { Layout } from '../../../engine/vmm/layout.ts';
import { type OnExit, runVcpu } from '../../../engine/vmm/loop.ts';
import { RAM_MEMORY, Slot } from '../../../engine/vmm/slot.ts';
import type { SlotCall } from '../read/trace-event.ts';
import type { Access } from './access.ts';
import { OWN_BYTES, type ReplayPlan } from './memory-plan.ts';
import { RecordedMemory } from './recorded-memory.ts';
import {
  ASK_PORT,
  CODE_PAGE,
  codePage,
  RET,
  ROW_BYTES,
  ROWS,
  STACK_END,
  TABLE_PAGE,
  tableOf,
} from './replay-guest.ts';
import { SlotMap } from './slot-map.ts';
import { type LedgerPart, StepLedger } from './step-ledger.ts';

/** What KVM made of one access in the replay. */
export interface Seen {
  /** Page faults: the error codes, in order. */
  readonly codes: number[];
  /** Pieces the emulator took to no memory: `write` or `unsatisfied-read`. */
  readonly mmio: ('write' | 'unsatisfied-read')[];
  /** It ended the VM. */
  ended: boolean;
}

/** How a VM of a replay ended before the recording did. */
export interface Death {
  readonly access: Access;
  /** In a line: what KVM_RUN came back with. */
  readonly says: string;
  readonly errno: number;
}

/** Hears of a replay as it goes. */
export interface ReplaySink {
  onAccess(access: Access, seen: Seen): void;
  /** An access that cannot be made here. */
  onLeftOut(access: Access, why: string): void;
  /** `ret` is undefined where the strategy makes no such call. */
  onSlotCall(call: SlotCall, ret: number | undefined): void;
}

/** Exits a table may cause before its guest counts as looping: every access a few, and the one that asks. */
const EXITS_MAX = 8 * (ROWS + 1);

type End = 'asked' | Omit<Death, 'access'>;

/** One VM being replayed. */
export class Replay implements Tracepoints {
  readonly machine: Machine;
  /** How the VM died, if it did: nothing is replayed after that. */
  death: Death | undefined;
  readonly ledger: StepLedger;
  /** Faults and exits of the replay's own pages and port, which the recorded guest never had. */
  ownFaults = 0;
  ownExits = 0;
  exitsToUserspace = 0;
  readonly #sink: ReplaySink;
  readonly #plan: ReplayPlan;
  readonly #memory: RecordedMemory;
  readonly #own: Slot;
  readonly #slots = new SlotMap();
  /** Pages that were mapped at some time. */
  readonly #mapped = new Set<number>();
  #rows: Access[] = [];
  #parts: LedgerPart[] = [];
  #seen: Seen[] = [];

  constructor(machine: Machine, layout: Layout, plan: ReplayPlan, sink: ReplaySink) {
    if (machine.traceTo === undefined) throw new Error(`the engine ${machine.engine} tells no tracepoints`);
    this.machine = machine;
    this.#plan = plan;
    this.#sink = sink;
    this.ledger = new StepLedger(machine);
    this.#memory = new RecordedMemory(machine, layout, plan);
    const { gpa } = plan.own;
    this.#own = new Slot(machine, {
      slot: plan.ownSlot,
      guestPhysAddr: gpa,
      bytes: OWN_BYTES,
      memory: RAM_MEMORY,
    });
    this.#own.poke(CODE_PAGE * PAGE_SIZE, codePage(gpa));
    this.#own.set();
    machine.setupVcpu({
      mode: 'prot32',
      regs: { rip: gpa, rsp: gpa + STACK_END * PAGE_SIZE, rsi: gpa + TABLE_PAGE * PAGE_SIZE },
    });
    this.ledger.charge('own');
    machine.traceTo(this);
  }

  /** Takes the host's pages of everything read-only out of memory. */
  evictRoms(): void {
    this.#memory.evictRoms();
  }

  /** Makes recorded slot calls, after all accesses before them. */
  slotCalls(calls: readonly SlotCall[]): void {
    this.flush();
    if (this.death !== undefined) return;
    for (const call of calls) {
      this.#slots.apply(call);
      this.#sink.onSlotCall(call, this.#memory.slotCall(call));
    }
    this.ledger.charge('slots');
  }

  /** Makes the next access, at the latest when the table is full. */
  access(access: Access): void {
    if (this.death !== undefined) return;
    const why = this.#slots.whyNotReplayed(access);
    if (why !== undefined) {
      this.#sink.onLeftOut(access, why);
      return;
    }
    this.#rows.push(access);
    this.#parts.push(this.#partOf(access));
    if (this.#rows.length === ROWS) this.flush();
  }

  #partOf({ gpa, outcome }: Access): LedgerPart {
    if (outcome !== 'mapped') return 'accesses';
    const gfn = Math.floor(gpa / PAGE_SIZE);
    const again = this.#mapped.has(gfn);
    this.#mapped.add(gfn);
    return again ? 'refaults' : 'accesses';
  }

  /** Makes the accesses that wait. */
  flush(): void {
    if (this.#rows.length === 0 || this.death !== undefined) return;
    for (const row of this.#rows) if (row.kind === 'fetch') this.#memory.poke(row.gpa, Uint8Array.of(RET));
    this.#own.poke(TABLE_PAGE * PAGE_SIZE, tableOf(this.#rows));
    this.#seen = this.#rows.map(() => ({ codes: [], mmio: [], ended: false }));
    const end = runVcpu(this.machine, this.#onExit, EXITS_MAX) ?? {
      says: `the guest exited ${EXITS_MAX} times without getting through`,
      errno: 0,
    };
    this.ledger.charge(this.#for);
    this.#report(end);
    this.#rows = [];
    this.#parts = [];
  }

  #report(end: End): void {
    const died = end === 'asked' ? -1 : this.#row();
    for (const [i, access] of this.#rows.entries()) {
      const seen = this.#seen[i];
      if (seen === undefined || (died >= 0 && i > died)) return;
      if (i === died && end !== 'asked') {
        seen.ended = true;
        this.death = { access, ...end };
      }
      this.#sink.onAccess(access, seen);
    }
  }

  /** The row the guest is at. */
  #row(): number {
    const esi = Number(this.machine.getRegs().gpr[6] ?? 0n);
    return (esi - this.#plan.own.gpa - TABLE_PAGE * PAGE_SIZE) / ROW_BYTES;
  }

  readonly #onExit: OnExit<End> = (name, exit, ret) => {
    const errno = Math.abs(ret);
    switch (name) {
      case 'mmio-read':
        exit.data.fill(RET, 0, exit.len);
        this.exitsToUserspace += 1;
        return undefined;
      case 'mmio-write':
        this.exitsToUserspace += 1;
        return undefined;
      case 'io':
        this.ownExits += 1;
        return exit.port === ASK_PORT ? 'asked' : undefined;
      case 'efault':
        return { says: 'KVM_RUN returned -EFAULT', errno };
      case undefined:
        if (ret < 0) return { says: `KVM_RUN returned -${errnoName(errno)}`, errno };
    }
    return { says: exitSays(ret, exit), errno };
  };

  /** Whose the exit being handled is. */
  #for: LedgerPart = 'own';

  kvmExit(reason: string, _rip: number, _info1: number, info2: number): void {
    const part = reason !== 'npf' || this.#isOwn(info2) ? 'own' : (this.#parts[this.#row()] ?? 'own');
    // What was done since the last exit was done for that one.
    if (part !== this.#for) this.ledger.charge(this.#for);
    this.#for = part;
  }

  kvmPageFault(_rip: number, address: number, code: number): void {
    if (this.#isOwn(address)) this.ownFaults += 1;
    else this.#seen[this.#row()]?.codes.push(code);
  }

  kvmMmio(kind: 'read' | 'write' | 'unsatisfied-read'): void {
    if (kind !== 'read') this.#seen[this.#row()]?.mmio.push(kind);
  }

  kvmEntry(): void {}
  kvmPio(): void {}
  kvmEmulateInsn(): void {}
  kvmUserspaceExit(): void {}
  setUserMemory(): void {}

  #isOwn(address: number): boolean {
    const { gpa, size } = this.#plan.own;
    return address >= gpa && address < gpa + size;
  }
}
