/** The assembler, read back by a decoder. */
import { Decoder, Formatter, FormatterSyntax } from 'iced-x86';
import { describe, expect, test } from 'vitest';
import { CODE_AT, Guest } from './guest.ts';
import { abs, al, at, eax, ebx, edi, esi, rdi, xmm0 } from './registers.ts';

function listing(bytes: Uint8Array, bits = 32): string[] {
  const decoder = new Decoder(bits, bytes, 0);
  decoder.ip = BigInt(CODE_AT);
  const formatter = new Formatter(FormatterSyntax.Intel);
  return decoder.decodeAll().map((i) => `${i.ip.toString(16)} ${formatter.format(i)}`);
}

describe('the guest assembler', () => {
  test('makes the instructions it names', () => {
    const g = new Guest('prot32', []);
    g.set(edi, 0xffc0_0000);
    g.store(at(edi, 4), eax);
    g.store(at(edi), al);
    g.storeByte(at(edi), 0x5a);
    g.load(xmm0, abs(0xf_fffe));
    g.modify('add', at(edi), ebx, true);
    g.exchange(at(edi), ebx);
    g.incrementMemory(at(esi, -4));
    g.fst(at(edi));
    g.repMovsb();
    g.halt();
    expect(listing(g.bytes()).map((l) => l.slice(5))).toEqual([
      'mov edi,0FFC00000h',
      'mov [edi+4],eax',
      'mov [edi],al',
      'mov byte ptr [edi],5Ah',
      'movups xmm0,[0FFFFEh]',
      'lock add [edi],ebx',
      'xchg [edi],ebx',
      'inc dword ptr [esi-4]',
      'fst dword ptr [edi],st',
      'rep movsb [edi],[esi]',
      'hlt',
    ]);
  });

  test('finds labels before and behind, and two in one place', () => {
    const g = new Guest('prot32', []);
    g.label('first');
    g.label('also first');
    g.jump('end');
    g.jump('first');
    g.jump('also first');
    g.label('end');
    expect(listing(g.bytes())).toEqual([
      // A place has one name for the encoder; the other one's instruction is a no-op before it.
      '1000 nop',
      '1001 jmp short 00001007h',
      '1003 jmp short 00001001h',
      '1005 jmp short 00001000h',
      // A label at the end stands on a halt of its own.
      '1007 hlt',
    ]);
  });

  test('a loop counts ecx down, and an action is a port write', () => {
    const g = new Guest('prot32', ['one', 'two']);
    g.times(3, () => g.vmm('two'));
    g.halt();
    expect(listing(g.bytes())).toEqual([
      '1000 mov ecx,3',
      '1005 mov al,1',
      '1007 out 0E0h,al',
      '1009 dec ecx',
      '100b jne short 00001005h',
      '100d hlt',
    ]);
  });

  test('assembles for 64-bit mode', () => {
    const g = new Guest('long64', []);
    g.set(rdi, 0x1000);
    g.storeByte(at(rdi), 1);
    g.call(rdi);
    g.ret();
    expect(listing(g.bytes(), 64).map((l) => l.slice(5))).toEqual([
      'mov rdi,1000h',
      'mov byte ptr [rdi],1',
      'call rdi',
      'ret',
    ]);
  });

  test('mistakes are told by name', () => {
    const g = new Guest('prot32', ['evict']);
    expect(() => g.vmm('evikt')).toThrow("no action 'evikt' (evict)");
    g.jump('nowhere');
    expect(() => g.bytes()).toThrow("label 'nowhere' is used but not placed");
    g.label('here');
    expect(() => g.label('here')).toThrow("label 'here' is placed twice");
  });
});
