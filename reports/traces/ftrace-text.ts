/**
 * Events as the text of a trace: what the kernel's own `trace` file shows, in the words of Linux 6.1 where an event says
 * which vCPU it was on, and in those of 3.7 where it does not. What it writes, `scenarios/traces/read` reads back.
 */
import type { TraceEvent } from '../../scenarios/traces/read/trace-event.ts';

/** The head of the kernel's file. */
export const FTRACE_HEAD = '# tracer: nop\n#\n#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n';

/** One event as one line, without its line end. */
export function ftraceLine(e: TraceEvent): string {
  const cpu = String(Math.max(0, e.cpu)).padStart(3, '0');
  const task = `${e.task}-${e.thread}`.padStart(16);
  return `${task}     [${cpu}] ..... ${seconds(e.time).padStart(12)}: ${named(e)}`;
}

/** Microseconds as the kernel prints them, and nanoseconds, as trace-cmd does, where there are any. */
function seconds(time: number): string {
  const micro = time.toFixed(6);
  return Math.abs(Number(micro) - time) < 1e-10 ? micro : time.toFixed(9);
}

function named(e: TraceEvent): string {
  switch (e.event) {
    case 'kvm_set_user_memory':
    case 'pflash_io':
      return `tracing_mark_write: ${text(e)}`;
    default:
      return `${e.event}: ${text(e)}`;
  }
}

function text(e: TraceEvent): string {
  switch (e.event) {
    case 'kvm_exit':
      return exitText(e);
    case 'kvm_entry':
      return `vcpu ${e.vcpu ?? 0}${e.rip === undefined ? '' : `, rip 0x${e.rip}`}`;
    case 'kvm_page_fault':
      return `${vcpu(e)}${e.rip === undefined ? '' : `rip 0x${e.rip} `}address ${wide(e.address)} error_code 0x${e.code.toString(16)}`;
    case 'kvm_mmio':
      return `mmio ${e.kind} len ${e.len} gpa 0x${e.gpa.toString(16)} val 0x${e.val}`;
    case 'kvm_pio': {
      const val = e.val === undefined ? '' : ` val 0x${e.val}${e.count > 1 ? ' (...)' : ''}`;
      return `pio_${e.kind} at 0x${e.port.toString(16)} size ${e.size} count ${e.count}${val}`;
    }
    case 'kvm_emulate_insn':
      return `${e.csbase}:${e.rip}: ${e.insn}${e.mode === undefined ? '' : ` (${e.mode})`}${e.failed ? ' failed' : ''}`;
    case 'kvm_userspace_exit':
      return `reason ${e.reason} (${e.number})`;
    case 'kvm_mmu_zap_all_fast':
      return 'kvm-mmu-valid-gen 0 used_pages 0';
    case 'kvm_set_user_memory': {
      const { addressSpace, slot, flags, gpa, size, ua, ret } = e.call;
      return `kvm_set_user_memory AddrSpace#${addressSpace} Slot#${slot} flags=${hex(flags)} gpa=${hex(gpa)} size=${hex(size)} ua=${hex(ua)} ret=${ret}`;
    }
    case 'pflash_io': {
      const { device, write, offset, size, value } = e.access;
      const four = (n: number): string => `0x${n.toString(16).padStart(4, '0')}`;
      const end = write ? '' : ' cmd:0x00';
      return `pflash_io_${write ? 'write' : 'read'} ${device}: offset:${four(offset)} size:${size} value:${four(value)}${end} wcycle:0`;
    }
  }
}

function exitText(e: Extract<TraceEvent, { event: 'kvm_exit' }>): string {
  const head = `${vcpu(e)}reason ${e.reason} rip 0x${e.rip}`;
  if (e.info1 === undefined && e.info2 === undefined) return head;
  if (e.vcpu === undefined) return `${head} info ${e.info1 ?? '0'} ${e.info2 ?? '0'}`;
  const info2 = e.info2 === undefined ? '' : ` info2 ${wide(e.info2)}`;
  return `${head} info1 ${wide(e.info1 ?? '0')}${info2} intr_info 0x00000000 error_code 0x00000000`;
}

const vcpu = (e: { readonly vcpu: number | undefined }): string =>
  e.vcpu === undefined ? '' : `vcpu ${e.vcpu} `;
const hex = (n: number): string => `0x${n.toString(16)}`;
const wide = (digits: string): string => `0x${digits.padStart(16, '0')}`;
