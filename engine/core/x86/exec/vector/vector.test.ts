/**
 * Vector instructions against a real processor: what it made of the same bytes (recorded.txt.gz, one instruction a line:
 * its bytes, then runs of 80 bytes of input and 80 of output, then its name).
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Cpu } from '../../cpu/cpu.ts';
import { CPU_EXIT_HLT } from '../../ports.ts';
import { Regs } from '../../regs.ts';
import { FlatBus } from '../../testing.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
/** ymm0, ymm1 and ymm2 from input bytes 0, 32 and 16, rcx from 64; eax = 0. */
const BEFORE = hex('c5fc1007 c5fc104f20 c5fc105710 488b4f40 31c0');
/** To output bytes 0, 32, 64 and 72: ymm0, ymm2, rcx and the flags; hlt. */
const AFTER = hex('9c58 c5fc1106 c5fc115620 48894e40 48894648 f4');
/** The status flags; interrupts are the recorder's business. */
const STATUS = 0x8d5;
const SIZE = 80;

function run(insn: Buffer, input: Buffer): Buffer {
  const bus = new FlatBus(0x1_0000);
  bus.mem.set(Buffer.concat([BEFORE, insn, AFTER]), 0x1000);
  bus.mem.set(input, 0x2000);
  const regs = new Regs();
  regs.setup({ mode: 'long64', regs: { rip: 0x1000, rsp: 0x7000, rdi: 0x2000, rsi: 0x3000 } });
  expect(new Cpu(regs, bus).run(100)).toBe(CPU_EXIT_HLT);
  return masked(Buffer.from(bus.mem.subarray(0x3000, 0x3000 + SIZE)));
}

function masked(output: Buffer): Buffer {
  output.writeUInt32LE(output.readUInt32LE(72) & STATUS, 72);
  return output;
}

const RECORDED = gunzipSync(readFileSync(new URL('./recorded.txt.gz', import.meta.url)))
  .toString('latin1')
  .split('\n')
  .map((line) => {
    const [data, name] = line.split('\t');
    const [insn, ...runs] = data!.split(' ');
    return { name: name!, insn: hex(insn!), runs: runs.map(hex) };
  });

describe('a real processor', () => {
  test.each(RECORDED)('$name', ({ insn, runs }) => {
    for (const recorded of runs) {
      const got = run(insn, recorded.subarray(0, SIZE));
      expect(got.toString('hex')).toBe(masked(Buffer.from(recorded.subarray(SIZE))).toString('hex'));
    }
  });
});
