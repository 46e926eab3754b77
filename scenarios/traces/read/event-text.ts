/**
 * An event's text into its fields: one function an event, undefined for a text in no known shape. Texts differ by
 * kernel: from 5.8 on `vcpu N` comes first (trace-cmd puts it last), 3.x to 5.9 print two bare numbers of information.
 */
import { flashAccess, isFlashAccess, slotCall, traceName } from './qemu-log.ts';
import { Scan } from './scan.ts';
import type { Columns, TraceEvent } from './trace-event.ts';

type Parse = (text: string, columns: Columns) => TraceEvent | undefined;

const EMULATE = /^([0-9a-f]+):([0-9a-f]+): ?(.*?)(?: \((\w+)\))?( failed| FAIL)?$/;
const BYTES = /^(?:[0-9a-f]{2} )*[0-9a-f]{2}$/;
/** Fields of kvm_exit that are numbers nobody here looks at, by the names that kernel and trace-cmd give them. */
const UNUSED = new Set(['intr_info', 'error_code', 'requests', 'int_info', 'int_info_err']);

const scan = new Scan();

const exit: Parse = (text, { line, time, thread, cpu, task }) => {
  let vcpu: number | undefined;
  let reason = '';
  let rip: string | undefined;
  let info1: string | undefined;
  let info2: string | undefined;
  scan.start(text);
  while (!scan.ended) {
    const key = scan.word();
    if (key === 'vcpu') vcpu = scan.decimal();
    else if (key === 'reason') {
      reason = scan.upTo(' rip ') ?? '';
      rip = scan.digits();
    } else if (key === 'info1') info1 = scan.digits();
    else if (key === 'info2') info2 = scan.digits();
    else if (key === 'info') {
      info1 = scan.digits();
      info2 = scan.digits();
    } else if (!UNUSED.has(key) || scan.digits() === undefined) return undefined;
  }
  if (reason === '' || rip === undefined || Number.isNaN(vcpu)) return undefined;
  return { event: 'kvm_exit', line, time, thread, cpu, task, vcpu, reason, rip, info1, info2 };
};

const entry: Parse = (text, { line, time, thread, cpu, task }) => {
  scan.start(text);
  if (!scan.take('vcpu ')) return undefined;
  const vcpu = scan.decimal();
  const rip = scan.take('rip ') ? scan.digits() : undefined;
  const rest = scan.rest();
  if (Number.isNaN(vcpu) || !/^(?:intr_info \S+ error_code \S+)? ?(?:\[immediate exit\])?$/.test(rest))
    return undefined;
  return { event: 'kvm_entry', line, time, thread, cpu, task, vcpu, rip };
};

const pageFault: Parse = (text, { line, time, thread, cpu, task }) => {
  scan.start(text);
  const vcpu = scan.take('vcpu ') ? scan.decimal() : undefined;
  const rip = scan.take('rip ') ? scan.digits() : undefined;
  if (!scan.take('address ')) return undefined;
  const address = scan.digits();
  if (address === undefined || Number.isNaN(vcpu) || !scan.take('error_code ')) return undefined;
  const code = scan.hex();
  if (Number.isNaN(code) || !scan.ended) return undefined;
  return { event: 'kvm_page_fault', line, time, thread, cpu, task, vcpu, rip, address, code };
};

const mmio: Parse = (text, { line, time, thread, cpu, task }) => {
  scan.start(text);
  if (!scan.take('mmio ')) return undefined;
  const kind = scan.word();
  if (kind !== 'write' && kind !== 'read' && kind !== 'unsatisfied-read') return undefined;
  if (!scan.take('len ')) return undefined;
  const len = scan.decimal();
  if (!scan.take('gpa ')) return undefined;
  const gpa = scan.hex();
  if (!scan.take('val ')) return undefined;
  const val = scan.digits();
  if (Number.isNaN(len) || Number.isNaN(gpa) || val === undefined || !scan.ended) return undefined;
  return { event: 'kvm_mmio', line, time, thread, cpu, task, kind, len, gpa, val };
};

const pio: Parse = (text, { line, time, thread, cpu, task }) => {
  scan.start(text);
  const kind = scan.take('pio_read at ') ? 'read' : scan.take('pio_write at ') ? 'write' : undefined;
  if (kind === undefined) return undefined;
  const port = scan.hex();
  if (!scan.take('size ')) return undefined;
  const size = scan.decimal();
  if (!scan.take('count ')) return undefined;
  const count = scan.decimal();
  const val = scan.take('val ') ? scan.digits() : undefined;
  if (Number.isNaN(port) || Number.isNaN(size) || Number.isNaN(count)) return undefined;
  if (!/^(?:\(?\.\.\.\)?)?$/.test(scan.rest())) return undefined;
  return { event: 'kvm_pio', line, time, thread, cpu, task, kind, port, size, count, val };
};

const emulate: Parse = (text, { line, time, thread, cpu, task }) => {
  const m = EMULATE.exec(text);
  if (m === null) return undefined;
  const [, csbase = '', rip = '', words = '', mode, failure] = m;
  const insn = words.trim();
  // The kernel prints bytes and the mode; trace-cmd prints either bytes or a disassembly, without it.
  if (mode !== undefined && insn !== '' && !BYTES.test(insn)) return undefined;
  const failed = failure !== undefined;
  return { event: 'kvm_emulate_insn', line, time, thread, cpu, task, csbase, rip, insn, mode, failed };
};

const userspaceExit: Parse = (text, { line, time, thread, cpu, task }) => {
  scan.start(text);
  if (!scan.take('reason ')) return undefined;
  const reason = scan.word();
  const digits = scan.rest();
  const number = Number(digits.slice(1, -1));
  if (reason === '' || !digits.startsWith('(') || !digits.endsWith(')') || Number.isNaN(number))
    return undefined;
  return { event: 'kvm_userspace_exit', line, time, thread, cpu, task, reason, number };
};

const zap: Parse = (_text, { line, time, thread, cpu, task }) => ({
  event: 'kvm_mmu_zap_all_fast',
  line,
  time,
  thread,
  cpu,
  task,
});

/** What QEMU's ftrace backend wrote into the trace. */
const slotMarker: Parse = (text, { line, time, thread, cpu, task }) => {
  const call = slotCall(text);
  if (call === undefined) return undefined;
  return { event: 'kvm_set_user_memory', line, time, thread, cpu, task, call };
};

const flashMarker: Parse = (text, { line, time, thread, cpu, task }) => {
  const access = flashAccess(text);
  return access === undefined ? undefined : { event: 'pflash_io', line, time, thread, cpu, task, access };
};

/** Names under which text from userspace stands in a trace. */
const MARKERS = new Set(['tracing_mark_write', 'print', 'bprint', 'bputs']);

const PARSERS: ReadonlyMap<string, Parse> = new Map<string, Parse>([
  ['kvm_exit', exit],
  ['kvm_entry', entry],
  ['kvm_page_fault', pageFault],
  ['kvm_mmio', mmio],
  ['kvm_pio', pio],
  ['kvm_emulate_insn', emulate],
  ['kvm_userspace_exit', userspaceExit],
  ['kvm_mmu_zap_all_fast', zap],
]);

/** How the text of an event is read; undefined for an event that is none of ours. */
export function parserOf(event: string, text: string): Parse | undefined {
  if (!MARKERS.has(event)) return PARSERS.get(event);
  const name = traceName(text);
  if (name === 'kvm_set_user_memory') return slotMarker;
  return isFlashAccess(name) ? flashMarker : undefined;
}
