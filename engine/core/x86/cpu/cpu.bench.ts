/** Guest instructions per second: a register loop and a copy loop, 32-bit. Not a test. */
import { Bench } from 'tinybench';
import { Regs } from '../regs.ts';
import { FlatBus } from '../testing.ts';
import { Cpu } from './cpu.ts';

const INSTRUCTIONS = 1_000_000;

/** A CPU at an endless loop of `code`. */
function machine(code: readonly number[]): Cpu {
  const bus = new FlatBus(0x20000);
  bus.mem.set(code, 0x1000);
  const regs = new Regs();
  regs.setup({ mode: 'prot32', regs: { rip: 0x1000, rcx: 0xffffffff, rsi: 0x8000, rdi: 0x9000 } });
  return new Cpu(regs, bus);
}

// add eax, ebx; dec ecx; jnz -5
const registers = machine([0x01, 0xd8, 0x49, 0x75, 0xfb]);
// mov al/eax loads and stores: mov eax, [esi]; mov [edi], eax; add edx, 4; dec ecx; jnz
const copy = machine([0x8b, 0x06, 0x89, 0x07, 0x83, 0xc2, 0x04, 0x49, 0x75, 0xf6]);

const bench = new Bench({ time: 500 });
bench.add('register loop, 1 M instructions', () => {
  registers.run(INSTRUCTIONS);
});
bench.add('copy loop, 1 M instructions', () => {
  copy.run(INSTRUCTIONS);
});
await bench.run();
for (const task of bench.tasks) {
  const ms = task.result.state === 'completed' ? task.result.latency.p50 : Number.NaN;
  process.stdout.write(`${task.name}: ${(INSTRUCTIONS / 1e3 / ms).toFixed(1)} M instructions/s\n`);
}
