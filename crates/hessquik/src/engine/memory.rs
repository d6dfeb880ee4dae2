//! Large results: large pages, and stores past the caches.

use crate::Real;
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

/// Copies to memory that is not read again soon: on x86-64 past the caches, which saves reading the lines before they are
/// overwritten. [`streamed`] must follow the last of such copies.
pub(crate) fn stream<F: Copy>(from: &[F], to: &mut [F]) {
    assert_eq!(from.len(), to.len());
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
        const LINE: usize = 64;
        let head = to.as_ptr().align_offset(LINE).min(to.len());
        let lines = (to.len() - head) * size_of::<F>() / LINE;
        let body = lines * (LINE / size_of::<F>());
        to[..head].copy_from_slice(&from[..head]);
        to[head + body..].copy_from_slice(&from[head + body..]);
        let (from, to) = (from[head..].as_ptr().cast::<__m128i>(), to[head..].as_mut_ptr().cast::<__m128i>());
        // SAFETY: `lines` whole lines from `head` on lie within both slices, and `to` is aligned to a line; the types of
        // this crate are plain numbers whose size divides a line.
        unsafe {
            for line in 0..lines {
                let (from, to) = (from.add(4 * line), to.add(4 * line));
                let parts = [
                    _mm_loadu_si128(from),
                    _mm_loadu_si128(from.add(1)),
                    _mm_loadu_si128(from.add(2)),
                    _mm_loadu_si128(from.add(3)),
                ];
                _mm_stream_si128(to, parts[0]);
                _mm_stream_si128(to.add(1), parts[1]);
                _mm_stream_si128(to.add(2), parts[2]);
                _mm_stream_si128(to.add(3), parts[3]);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    to.copy_from_slice(from);
}

/// Orders the stores of [`stream`] before all that follow, so that other threads see them.
pub(crate) fn streamed() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 machine has this instruction.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
