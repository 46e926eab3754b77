/**
 * A run as a trace: a machine's tracepoints into the events that a trace of a real kernel is read into, so that both go
 * one way from here. A run has no clock: its time is work, one nanosecond a predicted kernel instruction and one a guest
 * instruction, and the same on every machine.
 */

import type { MemoryRegion } from '../../engine/abi.ts';
import { EINTR } from '../../engine/abi.ts';
import { type CostProfile, priceOf } from '../../engine/cost.ts';
import { EXIT_NAMES, EXITS } from '../../engine/exits.ts';
import type { Machine } from '../../engine/machine.ts';
import type { Tracepoints } from '../../engine/tracepoints.ts';
import type { TraceEvent } from './read/trace-event.ts';

/** Instructions a second of the imagined processor. */
const INSTRUCTIONS_PER_SECOND = 1e9;
/** The one thread of the one vCPU. */
const THREAD = 1;

/** Names of KVM_EXIT_* by number. */
const NAMES: ReadonlyMap<number, string> = new Map(
  EXIT_NAMES.flatMap((name) => {
    const row = EXITS[name];
    return 'reason' in row ? [[row.reason, row.name] as const] : [];
  }),
);

/** An event as it is told, before it has its place. */
type Told = TraceEvent extends infer E ? (E extends TraceEvent ? Omit<E, Place> : never) : never;
type Place = 'line' | 'time' | 'thread' | 'cpu' | 'task';

/** Turns a machine's tracepoints into events; `onEvent` hears of each in order. */
export class RunRecorder implements Tracepoints {
  readonly #machine: Machine;
  readonly #profile: CostProfile;
  readonly #task: string;
  readonly #onEvent: (event: TraceEvent) => void;
  #line = 0;

  /** Listens to `machine`; `task` is what stands in the trace for the VMM's name. */
  constructor(machine: Machine, profile: CostProfile, task: string, onEvent: (event: TraceEvent) => void) {
    if (machine.traceTo === undefined) throw new Error(`the engine ${machine.engine} tells no tracepoints`);
    this.#machine = machine;
    this.#profile = profile;
    this.#task = task;
    this.#onEvent = onEvent;
    machine.traceTo(this);
  }

  kvmEntry(rip: number): void {
    this.#tell({ event: 'kvm_entry', vcpu: 0, rip: rip.toString(16) });
  }

  kvmExit(reason: string, rip: number, info1: number, info2: number): void {
    const numbers = { rip: rip.toString(16), info1: info1.toString(16), info2: info2.toString(16) };
    this.#tell({ event: 'kvm_exit', vcpu: 0, reason, ...numbers });
  }

  kvmPageFault(rip: number, address: number, code: number): void {
    this.#tell({
      event: 'kvm_page_fault',
      vcpu: 0,
      rip: rip.toString(16),
      address: address.toString(16),
      code,
    });
  }

  kvmMmio(kind: 'read' | 'write' | 'unsatisfied-read', len: number, gpa: number, data: Uint8Array): void {
    this.#tell({ event: 'kvm_mmio', kind, len, gpa, val: littleEndian(data) });
  }

  kvmPio(write: boolean, port: number, size: number, count: number, val: number): void {
    const kind = write ? 'write' : 'read';
    this.#tell({ event: 'kvm_pio', kind, port, size, count, val: val.toString(16) });
  }

  kvmEmulateInsn(rip: number, bytes: Uint8Array, mode: string, failed: boolean): void {
    const insn = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(' ');
    this.#tell({ event: 'kvm_emulate_insn', csbase: '0', rip: rip.toString(16), insn, mode, failed });
  }

  kvmUserspaceExit(ret: number, reason: number): void {
    const name = ret === -EINTR ? 'restart' : ret < 0 ? 'error' : (NAMES.get(reason) ?? `${reason}`);
    this.#tell({ event: 'kvm_userspace_exit', reason: name, number: ret < 0 ? -ret : reason });
  }

  setUserMemory(region: MemoryRegion, ret: number): void {
    const { slot, flags, guestPhysAddr: gpa, memorySize: size, userspaceAddr: ua } = region;
    const call = { addressSpace: slot >>> 16, slot: slot & 0xffff, flags, gpa, size, ua, ret };
    this.#tell({ event: 'kvm_set_user_memory', call });
  }

  #tell(event: Told): void {
    this.#line += 1;
    const place = { line: this.#line, time: this.#now(), thread: THREAD, cpu: 0, task: this.#task };
    this.#onEvent({ ...event, ...place });
  }

  /** Work done so far, as seconds; whole nanoseconds, so that a time survives being printed. */
  #now(): number {
    const { steps, instructions } = this.#machine.counts?.() ?? this.#machine.observe();
    const kernel = steps === undefined ? 0 : priceOf(this.#profile, steps, 1).total;
    return Math.round(kernel + (instructions ?? 0)) / INSTRUCTIONS_PER_SECOND;
  }
}

/** Bytes as the number they are in memory, in hex: up to eight of them, as the kernel prints. */
function littleEndian(data: Uint8Array): string {
  let val = 0n;
  for (let i = Math.min(8, data.length) - 1; i >= 0; i--) val = val * 256n + BigInt(data[i] ?? 0);
  return val.toString(16);
}
