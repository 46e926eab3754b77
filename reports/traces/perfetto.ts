/**
 * VM exits as Chrome's JSON of trace events, which Perfetto's viewer and its trace processor read: a track a vCPU, a
 * slice an exit from the moment the guest left to the moment it was entered again, userspace's share inside it; slot
 * changes as instants; and exits per second as a counter.
 * Format: perfetto.dev/docs/getting-started/other-formats, and the "Trace Event Format" it names.
 */
import type { FlashAccess, SlotCall } from '../../scenarios/traces/read/trace-event.ts';
import type { ExitSink, VmExit } from '../../scenarios/traces/read/vm-exit.ts';

/** Microseconds a value of the counter stands for. */
const COUNTER_US = 10_000;
/** The process that stands for the VM; slot changes and the counter belong to it. */
const VM = 1;

/** Writes a trace event by event; `out` gets text, and what it got between `begin()` and `end()` is one JSON document. */
export class PerfettoWriter implements ExitSink {
  readonly #out: (text: string) => void;
  readonly #named = new Set<number>();
  #first = true;
  /** Microseconds of the last thing written: a slot call has no time of its own. */
  #now = 0;
  #windowStart = -1;
  #windowExits = 0;

  constructor(out: (text: string) => void) {
    this.#out = out;
  }

  /** Opens the document; `name` is the VM's. */
  begin(name: string): void {
    this.#out('{"displayTimeUnit":"ns","traceEvents":[');
    this.#event({ ph: 'M', name: 'process_name', pid: VM, tid: 0, args: { name } });
  }

  onExit(exit: VmExit): void {
    const tid = exit.vcpu + 1;
    if (!this.#named.has(tid)) {
      this.#named.add(tid);
      const args = { name: `vCPU ${exit.vcpu}` };
      this.#event({ ph: 'M', name: 'thread_name', pid: VM, tid, args });
    }
    const ts = micro(exit.time);
    this.#count(ts);
    const end = micro(endOf(exit));
    const name = exit.reason === '' ? (exit.fault === undefined ? 'exit' : 'page fault') : exit.reason;
    this.#event({ ph: 'X', name, cat: 'kvm', pid: VM, tid, ts, dur: round(end - ts), args: argsOf(exit) });
    const { userspace } = exit;
    if (userspace !== undefined) {
      const at = Math.max(ts, micro(userspace.time));
      const dur = round(Math.max(0, end - at));
      this.#event({ ph: 'X', name: userspace.reason, cat: 'userspace', pid: VM, tid, ts: at, dur, args: {} });
    }
    this.#now = end;
  }

  onSlotCall(call: SlotCall): void {
    const { gpa, size, flags, ua, ret, addressSpace } = call;
    const name = `${size === 0 ? 'delete' : 'set'} slot ${addressSpace === 0 ? '' : `${addressSpace}:`}${call.slot}`;
    const args = { gpa: hex(gpa), size: hex(size), flags, ua: hex(ua), ret };
    this.#instant(name, 'memslot', args);
  }

  onZap(): void {
    this.#instant('all stage-2 entries zapped', 'mmu', {});
  }

  onFlash(access: FlashAccess): void {
    const { device, write, offset, value } = access;
    this.#instant(`${device} ${write ? 'write' : 'read'}`, 'pflash', {
      offset: hex(offset),
      value: hex(value),
    });
  }

  /** Closes the document. */
  end(): void {
    this.#flushCounter();
    this.#out('\n]}\n');
  }

  #instant(name: string, cat: string, args: Readonly<Record<string, unknown>>): void {
    this.#event({ ph: 'i', s: 'p', name, cat, pid: VM, tid: 0, ts: this.#now, args });
  }

  /** Exits are counted in windows; an empty window is written once, as the 0 that the counter falls to. */
  #count(ts: number): void {
    const window = Math.floor(ts / COUNTER_US) * COUNTER_US;
    if (window !== this.#windowStart) {
      this.#flushCounter();
      const gap = this.#windowStart >= 0 && window > this.#windowStart + COUNTER_US;
      if (gap) this.#counter(this.#windowStart + COUNTER_US, 0);
      this.#windowStart = window;
      this.#windowExits = 0;
    }
    this.#windowExits += 1;
  }

  #flushCounter(): void {
    if (this.#windowStart >= 0) this.#counter(this.#windowStart, (this.#windowExits * 1e6) / COUNTER_US);
  }

  #counter(ts: number, exits: number): void {
    this.#event({ ph: 'C', name: 'exits/s', pid: VM, tid: 0, ts, args: { 'exits/s': exits } });
  }

  #event(event: Readonly<Record<string, unknown>>): void {
    this.#out(`${this.#first ? '\n' : ',\n'}${JSON.stringify(event)}`);
    this.#first = false;
  }
}

/** When the exit was over: the next entry, or the last thing the trace says of it. */
function endOf(exit: VmExit): number {
  const last = Math.max(exit.time, exit.userspace?.time ?? 0, exit.mmio.at(-1)?.time ?? 0);
  return exit.entered ?? last;
}

function argsOf(exit: VmExit): Readonly<Record<string, unknown>> {
  const { fault, mmio, pio, insn } = exit;
  const [access] = mmio;
  const [port] = pio;
  return {
    line: exit.line,
    rip: `0x${exit.rip}`,
    ...(fault === undefined ? {} : { gpa: `0x${fault.address}`, error_code: hex(fault.code) }),
    ...(access === undefined
      ? {}
      : { mmio: `${access.kind} of ${access.len} at ${hex(access.gpa)}`, pieces: exit.mmioCount }),
    ...(port === undefined ? {} : { port: `${port.kind} ${hex(port.port)}, ${port.size} bytes` }),
    ...(insn === undefined ? {} : { insn: insn.bytes }),
    ...(exit.emulationFailed ? { emulation: 'failed' } : {}),
  };
}

const hex = (n: number): string => `0x${n.toString(16)}`;
const round = (us: number): number => Math.round(us * 1000) / 1000;
const micro = (seconds: number): number => round(seconds * 1e6);
