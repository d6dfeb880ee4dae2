//! Large results: large pages, and stores past the caches.

use crate::Real;
use pulp::{Arch, Simd, WithSimd};
use std::collections::TryReserveError;

/// A vector of `len` entries for results, with whatever the memory held before: each must be written before it is read.
/// Zeros would cost as much as writing the results themselves.
pub(crate) fn unwritten<F: Real>(len: usize) -> Result<Vec<F>, TryReserveError> {
    let mut memory = Vec::<F>::new();
    memory.try_reserve_exact(len)?;
    let spare = memory.spare_capacity_mut();
    prefer_large(spare);
    if cfg!(any(debug_assertions, miri, not(any(target_arch = "x86_64", target_arch = "aarch64")))) {
        // what is not written shows in tests
        spare.fill(std::mem::MaybeUninit::new(F::nan()));
    }
    #[cfg(all(not(miri), any(target_arch = "x86_64", target_arch = "aarch64")))]
    // SAFETY: an empty instruction, which changes nothing. To the compiler it may have written to `spare`: from here on
    // the memory has contents, although nobody knows which.
    unsafe {
        std::arch::asm!("/* {0} */", in(reg) spare.as_mut_ptr(), options(nostack, preserves_flags));
    }
    // SAFETY: the capacity is at least `len`, and every bit pattern is a number.
    unsafe { memory.set_len(len) };
    Ok(memory)
}

/// From this size on, in bytes.
const LARGE: usize = 4 << 20;

/// Asks for large pages for memory that has not been touched yet: fresh results are bound by the faults of their first
/// touch, and 2 MiB pages have 512 times fewer of them. Where this is not known it does nothing.
pub(crate) fn prefer_large<F>(memory: &mut [F]) {
    let bytes = size_of_val(memory);
    if bytes < LARGE {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let start = memory.as_mut_ptr().cast::<u8>();
        let inset = start.align_offset(PAGE).min(bytes);
        // SAFETY: the range lies within `memory` and starts on a page; the advice changes how it is backed, not what is
        // in it, and may be refused.
        unsafe { libc::madvise(start.add(inset).cast(), bytes - inset, libc::MADV_HUGEPAGE) };
    }
}

/// Bytes of a line of the caches.
pub(crate) const LINE: usize = 64;

/// Copies `rows` of `cols` entries, each a stride after the one before, to memory that is not read again soon: on x86-64
/// past the caches, which saves reading the lines before they are overwritten. [`streamed`] must follow the last of such
/// copies.
pub(crate) fn stream<F: Real>(
    (from, from_stride): (&[F], usize),
    (to, to_stride): (&mut [F], usize),
    (rows, cols): (usize, usize),
) {
    if cols == from_stride && cols == to_stride && rows > 1 {
        return stream((from, rows * cols), (to, rows * cols), (1, rows * cols));
    }
    let rows = from.chunks(from_stride).zip(to.chunks_mut(to_stride)).take(rows);
    Arch::new().dispatch(Stream(rows.map(|(from, to)| (&from[..cols], &mut to[..cols]))));
}

struct Stream<I>(I);

impl<'a, F: Real, I: Iterator<Item = (&'a [F], &'a mut [F])>> WithSimd for Stream<I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (from, to) in self.0 {
            let head = to.as_ptr().align_offset(LINE).min(to.len());
            let line = LINE / size_of::<F>();
            let end = to.len() - (to.len() - head) % line;
            for at in (head..end).step_by(line) {
                // SAFETY: a whole line from `at` on lies within both slices, `to` is aligned to a line there, and the types
                // of this crate are plain numbers.
                unsafe { stream_line(simd, from.as_ptr().add(at).cast(), to.as_mut_ptr().add(at).cast()) }
            }
            if head > 0 || end < to.len() {
                part_lines(from, to, head, end);
            }
        }
    }
}

/// # Safety
/// `from` must be valid for reads and `to` for writes of a line, on which `to` must start.
#[inline(always)]
unsafe fn stream_line<S: Simd>(_: S, from: *const f32, to: *mut f32) {
    // SAFETY: the caller's; vectors of these lengths exist only where the machine has them.
    unsafe {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            use std::arch::x86_64::*;
            let lanes = S::F32_LANES.clamp(4, 16);
            for at in (0..LINE / size_of::<f32>()).step_by(lanes) {
                let (from, to) = (from.add(at), to.add(at));
                match lanes {
                    16 => _mm512_stream_ps(to, _mm512_loadu_ps(from)),
                    8 => _mm256_stream_ps(to, _mm256_loadu_ps(from)),
                    _ => _mm_stream_ps(to, _mm_loadu_ps(from)),
                }
            }
        }
        #[cfg(any(not(target_arch = "x86_64"), miri))]
        to.copy_from_nonoverlapping(from, LINE / size_of::<f32>());
    }
}

/// What is before `head` and from `end` on.
#[cold]
fn part_lines<F: Real>(from: &[F], to: &mut [F], head: usize, end: usize) {
    to[..head].copy_from_slice(&from[..head]);
    to[end..].copy_from_slice(&from[end..]);
}

/// Asks for the line at `at` to be brought to the first-level cache or, unless `NEAR`, the second; any address will do.
#[inline(always)]
pub(crate) fn prefetch<const NEAR: bool, F>(at: *const F) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 machine has this instruction, which does nothing at an address that cannot be read.
    unsafe {
        use std::arch::x86_64::*;
        match NEAR {
            true => _mm_prefetch::<_MM_HINT_T0>(at.cast()),
            false => _mm_prefetch::<_MM_HINT_T1>(at.cast()),
        }
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = at;
}

/// Orders the stores of [`stream`] before all that follow, so that other threads see them.
pub(crate) fn streamed() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 machine has this instruction.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
