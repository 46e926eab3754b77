/**
 * The agent: a system-call server of a few hundred bytes. A batch of records comes in over descriptor 0, each is one
 * system call, and the results go out in one piece over descriptor 1. It touches no memory but its own two buffers
 * and the kvm_run page it is told: every other access is a system call, which returns an error where a plain load
 * would kill it. As PID 1 of a guest kernel it is all of userspace; as a child of this program it is the same code.
 *
 * Registers: rbx the record, r12 its result, r13 where records end, r14 records done, r15 the end of the answer.
 */
import { Code, Register } from 'iced-x86';
import { Assembler, type Where } from './assembler.ts';
import {
  BATCH_RECORDS,
  BATCH_RECORDS_AT,
  BATCH_RESULTS_AT,
  BATCH_TAIL_AT,
  HELLO,
  IN_AT,
  MUST,
  OUT_AT,
  RECORD_BYTES,
  RESULT_BYTES,
  RUN_EXIT_REASON,
  RUN_IO_DATA,
  RUN_UNION,
  RUN_UNION_BYTES,
  TEXT_AT,
} from './wire.ts';

const { RAX, RBX, RDX, RSI, RDI, RBP, R8, R9, R10, R12, R13, R14, R15 } = Register;
const { EAX, ECX, EDX, ESI, EDI, R14D } = Register;

const SYS_READ = 0;
const SYS_WRITE = 1;
const SYS_IOCTL = 16;
const SYS_EXIT_GROUP = 231;
const TCSETS = 0x5402;
const KVM_RUN = 0xae80;
const KVM_EXIT_MMIO = 6;

/** The arguments of a system call, in order. */
const ARGUMENTS = [RDI, RSI, RDX, R10, R8, R9];
/**
 * `struct termios` for a serial line that carries bytes: c_cflag CS8 CREAD CLOCAL at 115200, c_cc[VMIN] 1, and
 * nothing else; a read waits for one byte.
 */
const RAW_TERMIOS = [0, 0, 0, 0, 0, 0, 0, 0, 0xb2, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const TERMIOS_TAIL = new Array<number>(12).fill(0);

const at = (base: Register, disp = 0): Where => ({ base, disp });

/** The agent's machine code, to run at `TEXT_AT`. */
export function agentCode(): Uint8Array {
  const a = new Assembler();
  start(a);
  readBatch(a);
  records(a);
  sendAnswer(a);
  runRecord(a);
  subroutines(a);
  return a.bytes(TEXT_AT);
}

/** Raw bytes if the line is a serial one (a pipe refuses, which is as well), then hello. */
function start(a: Assembler): void {
  call(a, SYS_IOCTL, () => {
    a.set(EDI, 0);
    a.set(ESI, TCSETS);
    a.addressOf(RDX, 'termios');
  });
  a.addressOf(RSI, 'hello');
  a.set(EDX, HELLO.length);
  a.branch('jmp', 'send');
}

function readBatch(a: Assembler): void {
  a.label('batch');
  a.set(ESI, IN_AT);
  a.set(EDX, 8);
  a.branch('call', 'readAll');
  a.load(RDX, { disp: IN_AT });
  a.branch('call', 'readAll');
  a.set(R14D, 0);
  a.load(R13, { disp: IN_AT + BATCH_RECORDS });
  a.load(RBX, { disp: IN_AT + BATCH_RECORDS_AT });
  a.load(R12, { disp: IN_AT + BATCH_RESULTS_AT });
  a.load(R15, { disp: IN_AT + BATCH_TAIL_AT });
}

/** Each record in turn: its arguments, through their addresses where it says so, the call, the result. */
function records(a: Assembler): void {
  a.label('next');
  a.both(Code.Cmp_r64_rm64, R14, R13);
  a.branch('jae', 'answer');
  ARGUMENTS.forEach((r, i) => {
    a.load(r, at(RBX, 8 + 8 * i));
    a.memoryValue(Code.Test_rm8_imm8, at(RBX, 56), 1 << i);
    a.branch('je', `direct ${i}`);
    a.load(r, at(r));
    a.label(`direct ${i}`);
  });
  a.load(RAX, at(RBX));
  a.both(Code.Test_rm64_r64, RAX, RAX);
  a.branch('js', 'run');
  a.branch('call', 'timed');
  a.store(at(R12, 8), RBP);
  a.label('done');
  a.store(at(R12), RAX);
  a.withValue(Code.Add_rm64_imm8, R12, RESULT_BYTES);
  a.memoryValue(Code.Test_rm8_imm8, at(RBX, 56), MUST);
  a.address(RBX, at(RBX, RECORD_BYTES));
  a.address(R14, at(R14, 1));
  a.branch('je', 'next');
  a.both(Code.Test_rm64_r64, RAX, RAX);
  a.branch('jns', 'next');
}

function sendAnswer(a: Assembler): void {
  a.label('answer');
  a.set(ESI, OUT_AT);
  a.store(at(RSI, 8), R14);
  a.copy(RDX, R15);
  a.both(Code.Sub_r64_rm64, RDX, RSI);
  a.address(RAX, at(RDX, -8));
  a.store(at(RSI), RAX);
  a.label('send');
  call(a, SYS_WRITE, () => a.set(EDI, 1));
  a.both(Code.Test_rm64_r64, RAX, RAX);
  a.branch('jle', 'die');
  a.both(Code.Add_r64_rm64, RSI, RAX);
  a.both(Code.Sub_r64_rm64, RDX, RAX);
  a.branch('jne', 'send');
  a.branch('jmp', 'batch');
}

/**
 * vcpu (rdi), kvm_run (rsi), lo (rdx), hi (r10), most exits (r8): runs on while the exit is an MMIO write in
 * [lo, hi), which needs no answer. Each exit goes to the tail; the result is how many there were.
 */
function runRecord(a: Assembler): void {
  a.label('run');
  a.storeValue(at(R12), 0);
  a.store(at(R12, 8), RDI); // a run has a TSC delta an exit, so this place is free for the descriptor
  a.label('again');
  a.load(RDI, at(R12, 8));
  a.set(ESI, KVM_RUN);
  a.set(EDX, 0);
  a.set(EAX, SYS_IOCTL);
  a.branch('call', 'timed');
  a.store(at(R15), RAX);
  a.store(at(R15, 8), RBP);
  a.load(R9, at(RBX, 16));
  a.load(RDX, at(R9, RUN_EXIT_REASON));
  a.store(at(R15, 16), RDX);
  a.address(RSI, at(R9, RUN_UNION));
  a.address(RDI, at(R15, 24));
  a.set(ECX, RUN_UNION_BYTES / 8);
  a.repMovsq();
  a.load(RSI, at(R9, RUN_IO_DATA));
  a.store(at(RDI), RSI);
  a.address(R15, at(RDI, 8));
  a.memoryValue(Code.Add_rm64_imm8, at(R12), 1);
  a.both(Code.Test_rm64_r64, RAX, RAX);
  a.branch('jne', 'stop');
  a.withValue(Code.Cmp_rm32_imm8, EDX, KVM_EXIT_MMIO);
  a.branch('jne', 'stop');
  a.memoryValue(Code.Cmp_rm8_imm8, at(R9, RUN_UNION + 20), 1);
  a.branch('jne', 'stop');
  a.load(RDX, at(R9, RUN_UNION));
  a.withMemory(Code.Cmp_r64_rm64, RDX, at(RBX, 24));
  a.branch('jb', 'stop');
  a.withMemory(Code.Cmp_r64_rm64, RDX, at(RBX, 32));
  a.branch('jae', 'stop');
  a.load(RAX, at(R12));
  a.withMemory(Code.Cmp_r64_rm64, RAX, at(RBX, 40));
  a.branch('jb', 'again');
  a.label('stop');
  a.load(RAX, at(R12));
  a.branch('jmp', 'done');
}

function subroutines(a: Assembler): void {
  a.label('readAll');
  a.both(Code.Test_rm64_r64, RDX, RDX);
  a.branch('je', 'all read');
  call(a, SYS_READ, () => a.set(EDI, 0));
  a.both(Code.Test_rm64_r64, RAX, RAX);
  a.branch('jle', 'die');
  a.both(Code.Add_r64_rm64, RSI, RAX);
  a.both(Code.Sub_r64_rm64, RDX, RAX);
  a.branch('jmp', 'readAll');
  a.label('all read');
  a.plain(Code.Retnq);
  a.label('die');
  call(a, SYS_EXIT_GROUP, () => a.set(EDI, 0));
  a.label('timed'); // rax the number; rax the result, rbp the TSC it took
  a.one(Code.Push_r64, RAX);
  a.one(Code.Push_r64, RDX);
  readTsc(a);
  a.copy(RBP, RDX);
  a.one(Code.Pop_r64, RDX);
  a.one(Code.Pop_r64, RAX);
  a.plain(Code.Syscall);
  a.one(Code.Push_r64, RAX);
  readTsc(a);
  a.both(Code.Sub_r64_rm64, RDX, RBP);
  a.copy(RBP, RDX);
  a.one(Code.Pop_r64, RAX);
  a.plain(Code.Retnq);
  a.label('termios');
  a.data(RAW_TERMIOS.slice(0, 16));
  a.data(RAW_TERMIOS.slice(16));
  a.data(TERMIOS_TAIL);
  a.label('hello');
  a.data([...HELLO]);
}

/** The whole TSC in rdx. */
function readTsc(a: Assembler): void {
  a.plain(Code.Lfence);
  a.plain(Code.Rdtsc);
  a.withValue(Code.Shl_rm64_imm8, RDX, 32);
  a.both(Code.Or_r64_rm64, RDX, RAX);
}

function call(a: Assembler, nr: number, args: () => void): void {
  args();
  a.set(EAX, nr);
  a.plain(Code.Syscall);
}
