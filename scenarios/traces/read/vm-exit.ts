/**
 * One VM exit and what came of it, put together from the events of a trace: the unit that is replayed, drawn and
 * counted. A trace of our own runs is made of the same.
 */
import type {
  Columns,
  EmulateEvent,
  FlashAccess,
  MmioEvent,
  PageFaultEvent,
  PioEvent,
  SlotCall,
  TraceEvent,
  UserspaceExitEvent,
} from './trace-event.ts';

/** Pieces of one access that are kept: a string instruction of the emulator's can make thousands. */
const PIECES_KEPT = 64;

/** An access of KVM's emulator to what is no memory. */
export interface MmioPiece {
  readonly line: number;
  readonly time: number;
  readonly kind: MmioEvent['kind'];
  readonly len: number;
  readonly gpa: number;
  readonly val: string;
}

/** A stage-2 fault as recorded. */
export interface RecordedFault {
  readonly line: number;
  readonly address: string;
  readonly code: number;
}

/** From one VM exit to the next on the same vCPU. */
export interface VmExit {
  /** The first line of it, and that line's time. */
  readonly line: number;
  readonly time: number;
  readonly thread: number;
  readonly cpu: number;
  readonly task: string;
  vcpu: number;
  /** As printed; empty where the trace has no kvm_exit for it. */
  readonly reason: string;
  rip: string;
  readonly info1: string | undefined;
  readonly info2: string | undefined;
  fault: RecordedFault | undefined;
  /** kvm_mmio events: the first ones, and how many there were. */
  readonly mmio: MmioPiece[];
  mmioCount: number;
  readonly pio: Pick<PioEvent, 'kind' | 'port' | 'size' | 'count' | 'val'>[];
  /** kvm_emulate_insn: the last one, and whether it failed. */
  insn:
    | { readonly csbase: string; readonly rip: string; readonly bytes: string; readonly mode: string }
    | undefined;
  emulationFailed: boolean;
  /** kvm_userspace_exit: KVM_RUN returned. */
  userspace: { readonly reason: string; readonly number: number; readonly time: number } | undefined;
  /** When the guest was entered again; undefined where the trace does not tell. */
  entered: number | undefined;
}

/** Events that belong to the exit before them. */
type Part = PageFaultEvent | MmioEvent | PioEvent | EmulateEvent | UserspaceExitEvent;

/** What hears of the parts of a trace, in the order in which they began. */
export interface ExitSink {
  onExit(exit: VmExit): void;
  /** A slot call that stands in the trace itself. */
  onSlotCall?(call: SlotCall, line: number): void;
  /** What a flash device of QEMU's was asked. */
  onFlash?(access: FlashAccess, line: number): void;
  /** All stage-2 entries went. */
  onZap?(line: number): void;
}

/** Puts events together. What is not finished when the trace ends comes with `end()`. */
export class ExitBuilder {
  readonly #sink: ExitSink;
  /** The exit each thread is in. */
  readonly #open = new Map<number, VmExit>();
  /** Threads by vCPU, as far as the events say. */
  readonly #vcpus = new Map<number, number>();
  /** vCPUs that ran in more than one thread: more than one VM in the trace. */
  readonly #shared = new Map<number, Set<number>>();

  constructor(sink: ExitSink) {
    this.#sink = sink;
  }

  /** Takes the next event. */
  event(e: TraceEvent): void {
    switch (e.event) {
      case 'kvm_exit':
        this.#close(e.thread);
        this.#begin(e, e.vcpu, e.reason, e.rip, e.info1, e.info2);
        return;
      case 'kvm_entry':
        this.#vcpuOf(e.thread, e.vcpu);
        this.#entered(e.thread, e.time);
        return;
      case 'kvm_mmu_zap_all_fast':
        this.#closeAll();
        this.#sink.onZap?.(e.line);
        return;
      case 'kvm_set_user_memory':
        this.#closeAll();
        this.#sink.onSlotCall?.(e.call, e.line);
        return;
      case 'pflash_io':
        this.#sink.onFlash?.(e.access, e.line);
        return;
      default:
        this.#attach(e);
    }
  }

  /** The trace is over: what was open is handed on. */
  end(): void {
    this.#closeAll();
  }

  /** How many vCPUs were seen. */
  get vcpus(): number {
    return new Set(this.#vcpus.values()).size;
  }

  /** Threads that share a vCPU's number, by that number: there was more than one VM. */
  get mixedVms(): ReadonlyMap<number, ReadonlySet<number>> {
    return new Map([...this.#shared].filter(([, threads]) => threads.size > 1));
  }

  #attach(e: Part): void {
    let open = this.#open.get(e.thread);
    // A second fault, or any event with no exit before it: the tracer was not asked for kvm_exit, or lost it.
    if (open === undefined || (e.event === 'kvm_page_fault' && open.fault !== undefined)) {
      this.#close(e.thread);
      open = this.#begin(e, undefined, '', '');
    }
    switch (e.event) {
      case 'kvm_page_fault':
        open.fault = { line: e.line, address: e.address, code: e.code };
        if (e.rip !== undefined) open.rip = e.rip;
        if (e.vcpu !== undefined) open.vcpu = this.#vcpuOf(e.thread, e.vcpu);
        return;
      case 'kvm_mmio':
        open.mmioCount += 1;
        if (open.mmio.length < PIECES_KEPT) {
          const { line, time, kind, len, gpa, val } = e;
          open.mmio.push({ line, time, kind, len, gpa, val });
        }
        return;
      case 'kvm_pio': {
        const { kind, port, size, count, val } = e;
        if (open.pio.length < PIECES_KEPT) open.pio.push({ kind, port, size, count, val });
        return;
      }
      case 'kvm_emulate_insn':
        open.insn = { csbase: e.csbase, rip: e.rip, bytes: e.insn, mode: e.mode ?? '' };
        open.emulationFailed ||= e.failed;
        return;
      default:
        open.userspace = { reason: e.reason, number: e.number, time: e.time };
    }
  }

  #begin(
    e: Columns,
    vcpu: number | undefined,
    reason: string,
    rip: string,
    info1?: string,
    info2?: string,
  ): VmExit {
    const { line, time, thread, cpu, task } = e;
    const exit: VmExit = {
      line,
      time,
      thread,
      cpu,
      task,
      vcpu: this.#vcpuOf(thread, vcpu),
      reason,
      rip,
      info1,
      info2,
      fault: undefined,
      mmio: [],
      mmioCount: 0,
      pio: [],
      insn: undefined,
      emulationFailed: false,
      userspace: undefined,
      entered: undefined,
    };
    this.#open.set(thread, exit);
    return exit;
  }

  /** The vCPU a thread runs; where no event says so, threads are numbered as they come. */
  #vcpuOf(thread: number, said: number | undefined): number {
    if (said !== undefined) {
      this.#vcpus.set(thread, said);
      const threads = this.#shared.get(said) ?? new Set();
      this.#shared.set(said, threads.add(thread));
      return said;
    }
    const known = this.#vcpus.get(thread) ?? this.#vcpus.size;
    this.#vcpus.set(thread, known);
    return known;
  }

  #entered(thread: number, time: number): void {
    const open = this.#open.get(thread);
    // One KVM_RUN may enter the guest more than once before the next exit is seen; the last entry is the one.
    if (open !== undefined) open.entered = time;
  }

  #close(thread: number): void {
    const open = this.#open.get(thread);
    if (open === undefined) return;
    this.#open.delete(thread);
    this.#sink.onExit(open);
  }

  #closeAll(): void {
    for (const thread of [...this.#open.keys()]) this.#close(thread);
  }
}
