/** The agent: what its bytes are, and that it does what the wire says, as a child on this machine. */
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { Code, Decoder, DecoderOptions } from 'iced-x86';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MachineLost } from '../../machine.ts';
import { type LocalAgent, startLocalAgent } from '../host/local-agent.ts';
import { agentExecutable } from './agent.ts';
import { agentCode } from './machine-code.ts';
import { Batch, CallFailed } from './records.ts';
import { SYS } from './syscalls.ts';
import { HELLO, IN_AT, OUT_AT, TEXT_AT } from './wire.ts';

const EFAULT = 14;
const EBADF = 9;

describe('the machine code', () => {
  const code = agentCode();

  test('takes less than 1 kB, and every branch in it lands on an instruction', () => {
    expect(code.length).toBeLessThan(1024);
    const decoder = new Decoder(64, code, DecoderOptions.None);
    decoder.ip = BigInt(TEXT_AT);
    const starts = new Set<bigint>();
    const targets: bigint[] = [];
    let syscalls = 0;
    // The data at the end, 36 bytes of termios and the hello, is no code.
    const end = BigInt(TEXT_AT + code.length - 40 - HELLO.length);
    while (decoder.ip < end) {
      const i = decoder.decode();
      expect(i.isInvalid, `at ${i.ip.toString(16)}`).toBe(false);
      starts.add(i.ip);
      if (i.code === Code.Syscall) syscalls += 1;
      if (i.isJccShortOrNear || i.isJmpShortOrNear || i.isCallNear) targets.push(i.nearBranchTarget);
      i.free();
    }
    decoder.free();
    expect(targets.length).toBeGreaterThan(20);
    for (const t of targets) expect(starts.has(t), t.toString(16)).toBe(true);
    // TCSETS, write, read, exit_group, and the one that records ask for.
    expect(syscalls).toBe(5);
  });

  test('is an ELF file that says where it goes and what it wants', () => {
    const file = agentExecutable();
    const view = new DataView(file.buffer);
    expect([...file.subarray(0, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
    expect(Number(view.getBigUint64(24, true))).toBe(TEXT_AT);
    expect(Number(view.getBigUint64(64 + 56 + 16, true))).toBe(IN_AT);
    expect(file.subarray(4096)).toEqual(code);
  });
});

describe('as a child', () => {
  let agent: LocalAgent;
  beforeAll(() => {
    agent = startLocalAgent(5_000);
  });
  afterAll(() => agent?.stop());

  /** process_vm_readv or _writev of the agent's own memory. */
  const copy = (b: Batch, nr: number, pid: number, local: number, remote: number, bytes: number) => {
    const iovec = (at: number): number => {
      const v = new DataView(new ArrayBuffer(16));
      v.setBigUint64(0, BigInt(at), true);
      v.setBigUint64(8, BigInt(bytes), true);
      return b.payload(new Uint8Array(v.buffer));
    };
    return b.call(nr, [pid, iovec(local), 1, iovec(remote), 1, 0]);
  };
  const pidOf = (): number => {
    const b = new Batch();
    const pid = b.call(SYS.getpid, []);
    return agent.channel.send(b).value(pid);
  };

  test('answers system calls with what the kernel says, errors too', () => {
    const b = new Batch();
    const pid = b.call(SYS.getpid, []);
    const bad = b.call(SYS.close, [12345]);
    const answer = agent.channel.send(b);
    expect(answer.value(pid)).toBe(agent.process.pid);
    expect(answer.value(bad)).toBe(-EBADF);
    expect(answer.tsc(pid)).toBeGreaterThan(0);
  });

  test('a record may use what an earlier one returned', () => {
    const b = new Batch();
    const fd = b.call(SYS.memfd_create, [b.text('s'), 0], 'memfd_create()');
    b.call(SYS.ftruncate, [fd, 4096], 'ftruncate()');
    const got = b.space(5);
    const wrote = b.call(SYS.pwritev, [fd, iovecOf(b, Uint8Array.of(1, 2, 3, 4, 5)), 1, 100, 0]);
    b.call(SYS.pread64, [fd, got.address, 5, 100], 'pread()');
    b.call(SYS.close, [fd]);
    const answer = agent.channel.send(b);
    expect(answer.value(wrote)).toBe(5);
    expect([...answer.bytes(got)]).toEqual([1, 2, 3, 4, 5]);
  });

  test('a bad address is an error, and the agent lives', () => {
    const pid = pidOf();
    const b = new Batch();
    const room = b.space(64);
    const nowhere = copy(b, SYS.process_vm_readv, pid, room.address, 0x6000_0000, 64);
    const code = copy(b, SYS.process_vm_writev, pid, IN_AT, TEXT_AT, 64);
    const kernel = copy(b, SYS.process_vm_readv, pid, room.address, -4096, 64);
    const fine = copy(b, SYS.process_vm_readv, pid, room.address, TEXT_AT, 64);
    const answer = agent.channel.send(b);
    expect([nowhere, code].map((r) => answer.value(r))).toEqual([-EFAULT, -EFAULT]);
    expect(answer.value(kernel)).toBeLessThan(0);
    expect(answer.value(fine)).toBe(64);
    expect(answer.bytes(room)).toEqual(agentCode().subarray(0, 64));
  });

  test('a call that had to succeed ends the batch and says what it was for', () => {
    const b = new Batch();
    b.call(SYS.close, [777], 'closing what is not open');
    const after = b.call(SYS.memfd_create, [b.text('never'), 0]);
    expect(() => agent.channel.send(b).value(after)).toThrow(CallFailed);
    expect(() => agent.channel.send(b)).toThrow(/closing what is not open: errno 9/);
  });

  test('any bytes there and back, however many', () => {
    const pid = pidOf();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 70_000 }), (bytes) => {
        const b = new Batch();
        const from = b.payload(bytes);
        const to = b.space(bytes.length);
        copy(b, SYS.process_vm_readv, pid, to.address, from, bytes.length);
        expect(agent.channel.send(b).bytes(to)).toEqual(bytes);
        expect(to.address).toBeGreaterThanOrEqual(OUT_AT);
      }),
      { numRuns: 30 },
    );
  });

  test('an agent that ends is noticed at once, one that hangs by the watchdog, and nothing stays behind', () => {
    for (const [nr, args] of [
      [231, [0]], // exit_group
      [34, []], // pause
    ] as const) {
      const doomed = startLocalAgent(300);
      const { pid, folder } = doomed.process;
      const b = new Batch();
      b.call(nr, args);
      expect(() => doomed.channel.send(b)).toThrow(MachineLost);
      doomed.stop();
      expect(existsSync(folder)).toBe(false);
      expect(existsSync(`/proc/${pid}/exe`), 'the agent still runs').toBe(false);
    }
  });
});

function iovecOf(b: Batch, bytes: Uint8Array): number {
  const v = new DataView(new ArrayBuffer(16));
  v.setBigUint64(0, BigInt(b.payload(bytes)), true);
  v.setBigUint64(8, BigInt(bytes.length), true);
  return b.payload(new Uint8Array(v.buffer));
}
