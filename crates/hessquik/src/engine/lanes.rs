//! Vectors of either precision, as wide as the machine's.
use super::tape::Buffer;
use pulp::{MemMask, Simd};
use std::cell::Cell;
use std::thread::LocalKey;

/// What the product kernels need of `f32` and `f64`: vectors of them under an instruction set `S`.
///
/// A supertrait of [`Real`](crate::Real).
#[allow(missing_docs)] // one instruction each
pub trait Lanes: Copy {
    type Vector<S: Simd>: Copy;
    type Mask<S: Simd>: Copy;

    /// Entries of a vector.
    fn lanes<S: Simd>() -> usize;

    /// Memory of this thread that products pack their left factors into.
    #[allow(private_interfaces)] // nobody outside can name it
    fn packing() -> &'static LocalKey<Cell<Buffer<Self>>>;

    /// Selects the first `len` entries, at most all.
    fn mask<S: Simd>(simd: S, len: usize) -> Self::Mask<S>;

    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;

    /// `a b + c`, rounded once where the machine can.
    fn fused<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    /// [`fused`](Self::fused) of the first half, where a vector of half the width takes half the time; of all elsewhere.
    fn fused_low<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    /// The sum of all entries.
    fn total<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;

    /// Rows and columns of the squares that [`transpose`](Self::transpose) handles.
    const SQUARE: usize;

    /// `to[j, i] = from[i, j]` for a square, with these strides from row to row.
    ///
    /// # Safety
    /// `from` must be valid for reads, and `to` for writes, of the rows of a square.
    unsafe fn transpose<S: Simd>(simd: S, from: *const Self, from_stride: usize, to: *mut Self, to_stride: usize);

    /// `square[j, i] = square[i, j]` for i < j.
    ///
    /// # Safety
    /// `square` must be valid for reads and writes of the rows of a square.
    unsafe fn mirror<S: Simd>(simd: S, square: *mut Self, stride: usize);

    /// # Safety
    /// `from` must be valid for reads of a vector.
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> Self::Vector<S>;

    /// Zero where nothing is selected.
    ///
    /// # Safety
    /// `from` must be valid for reads of the entries that the mask selects.
    unsafe fn load_part<S: Simd>(simd: S, mask: Self::Mask<S>, from: *const Self) -> Self::Vector<S>;

    /// # Safety
    /// `to` must be valid for writes of a vector.
    unsafe fn store<S: Simd>(simd: S, to: *mut Self, x: Self::Vector<S>);

    /// # Safety
    /// `to` must be valid for writes of the entries that the mask selects.
    unsafe fn store_part<S: Simd>(simd: S, mask: Self::Mask<S>, to: *mut Self, x: Self::Vector<S>);
}

/// The first entries of a vector.
#[derive(Clone, Copy)]
pub struct Part<M> {
    mask: MemMask<M>,
    len: usize,
}

macro_rules! lanes {
    ($real:ident, $index:ident, $vector:ident, $mask:ident, $lanes:ident, $between:ident, $splat:ident, $mul_add:ident,
     $fused_low:ident, $sum:ident, $load_part:ident, $store_part:ident, $square:literal, $transpose:ident,
     $mirror:ident, $store_first:ident) => {
        impl Lanes for $real {
            type Vector<S: Simd> = S::$vector;
            type Mask<S: Simd> = Part<S::$mask>;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[allow(private_interfaces)]
            fn packing() -> &'static LocalKey<Cell<Buffer<Self>>> {
                thread_local! {
                    static PACKING: Cell<Buffer<$real>> = Cell::default();
                }
                &PACKING
            }
            #[inline(always)]
            fn mask<S: Simd>(simd: S, len: usize) -> Self::Mask<S> {
                // the bare mask: pulp's own `MemMask` calls a function for each access
                let len = len.min(S::$lanes);
                Part { mask: MemMask::new(simd.$between(0, len as $index).mask()), len }
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S> {
                simd.$splat(x)
            }
            #[inline(always)]
            fn fused<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn fused_low<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                #[cfg(target_arch = "x86_64")]
                if size_of::<S::$vector>() == 64 {
                    // SAFETY: vectors of this size are those of AVX-512, which has the others of its machine.
                    return unsafe {
                        std::mem::transmute_copy(&$fused_low(
                            std::mem::transmute_copy(&a),
                            std::mem::transmute_copy(&b),
                            std::mem::transmute_copy(&c),
                        ))
                    };
                }
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn total<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }
            const SQUARE: usize = $square;
            #[inline(always)]
            unsafe fn transpose<S: Simd>(_: S, from: *const Self, from_stride: usize, to: *mut Self, to_stride: usize) {
                // vectors of a square's rows exist only where there is AVX
                #[cfg(target_arch = "x86_64")]
                if S::$lanes >= $square {
                    // SAFETY: the caller says that both squares are valid.
                    return unsafe { $transpose(from, from_stride, to, to_stride) };
                }
                for j in 0..$square {
                    for i in 0..$square {
                        // SAFETY: the caller says that both squares are valid.
                        unsafe { *to.add(j * to_stride + i) = *from.add(i * from_stride + j) };
                    }
                }
            }
            #[inline(always)]
            unsafe fn mirror<S: Simd>(_: S, square: *mut Self, stride: usize) {
                #[cfg(target_arch = "x86_64")]
                if S::$lanes >= $square {
                    // SAFETY: the caller says that the square is valid.
                    return unsafe { $mirror(square, stride) };
                }
                for (j, i) in (1..$square).flat_map(|j| (0..j).map(move |i| (j, i))) {
                    // SAFETY: the caller says that the square is valid.
                    unsafe { *square.add(j * stride + i) = *square.add(i * stride + j) };
                }
            }
            #[inline(always)]
            unsafe fn load<S: Simd>(_: S, from: *const Self) -> S::$vector {
                // SAFETY: the caller says that a vector can be read here; it need not be aligned.
                unsafe { from.cast::<S::$vector>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn load_part<S: Simd>(simd: S, mask: Self::Mask<S>, from: *const Self) -> S::$vector {
                // SAFETY: the caller says that the selected entries can be read.
                unsafe { simd.$load_part(mask.mask, from) }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(_: S, to: *mut Self, x: S::$vector) {
                // SAFETY: the caller says that a vector can be written here; it need not be aligned.
                unsafe { to.cast::<S::$vector>().write_unaligned(x) }
            }
            #[inline(always)]
            unsafe fn store_part<S: Simd>(simd: S, mask: Self::Mask<S>, to: *mut Self, x: S::$vector) {
                // masked stores of AVX2 take as long as ten whole ones on some machines, so halves, quarters, eighths do it
                #[cfg(target_arch = "x86_64")]
                if size_of::<S::$vector>() == 32 {
                    // SAFETY: the caller says that the first entries, as many as are selected, can be written.
                    return unsafe { $store_first(mask.len, to, std::mem::transmute_copy(&x)) };
                }
                // SAFETY: the caller says that the selected entries can be written.
                unsafe { simd.$store_part(mask.mask, to, x) }
            }
        }
    };
}
lanes!(
    f32,
    u32,
    f32s,
    m32s,
    F32_LANES,
    mask_between_m32s,
    splat_f32s,
    mul_add_e_f32s,
    fused_low_f32,
    reduce_sum_f32s,
    mask_load_ptr_f32s,
    mask_store_ptr_f32s,
    8,
    transpose_f32,
    mirror_f32,
    store_first_f32
);
lanes!(
    f64,
    u64,
    f64s,
    m64s,
    F64_LANES,
    mask_between_m64s,
    splat_f64s,
    mul_add_e_f64s,
    fused_low_f64,
    reduce_sum_f64s,
    mask_load_ptr_f64s,
    mask_store_ptr_f64s,
    4,
    transpose_f64,
    mirror_f64,
    store_first_f64
);

/// `a b + c` in the first half.
///
/// # Safety
/// The machine must have AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fused_low_f32(
    a: std::arch::x86_64::__m512,
    b: std::arch::x86_64::__m512,
    c: std::arch::x86_64::__m512,
) -> std::arch::x86_64::__m512 {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        let low = |x| _mm512_castps512_ps256(x);
        _mm512_castps256_ps512(_mm256_fmadd_ps(low(a), low(b), low(c)))
    }
}

/// `a b + c` in the first half.
///
/// # Safety
/// The machine must have AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fused_low_f64(
    a: std::arch::x86_64::__m512d,
    b: std::arch::x86_64::__m512d,
    c: std::arch::x86_64::__m512d,
) -> std::arch::x86_64::__m512d {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        let low = |x| _mm512_castpd512_pd256(x);
        _mm512_castpd256_pd512(_mm256_fmadd_pd(low(a), low(b), low(c)))
    }
}

/// The columns of a square as rows, with their numbers.
///
/// # Safety
/// The square must be valid for reads, and the machine must have AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn columns_f32(square: *const f32, stride: usize, mut column: impl FnMut(usize, std::arch::x86_64::__m256)) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        // halves of rows i and i + 4 side by side, so that no step crosses the middle of a register
        let half = |i: usize, j: usize| _mm256_castps128_ps256(_mm_loadu_ps(square.add(i * stride + j)));
        let rows =
            |i: usize, j: usize| _mm256_insertf128_ps::<1>(half(i, j), _mm_loadu_ps(square.add((i + 4) * stride + j)));
        for j in [0, 4] {
            let [a, b, c, d] = [rows(0, j), rows(1, j), rows(2, j), rows(3, j)];
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            column(j, _mm256_shuffle_ps::<0x44>(ab, cd));
            column(j + 1, _mm256_shuffle_ps::<0xee>(ab, cd));
            let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            column(j + 2, _mm256_shuffle_ps::<0x44>(ab, cd));
            column(j + 3, _mm256_shuffle_ps::<0xee>(ab, cd));
        }
    }
}

/// The columns of a square as rows, with their numbers.
///
/// # Safety
/// The square must be valid for reads, and the machine must have AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn columns_f64(square: *const f64, stride: usize, mut column: impl FnMut(usize, std::arch::x86_64::__m256d)) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        let half = |i: usize, j: usize| _mm256_castpd128_pd256(_mm_loadu_pd(square.add(i * stride + j)));
        let rows =
            |i: usize, j: usize| _mm256_insertf128_pd::<1>(half(i, j), _mm_loadu_pd(square.add((i + 2) * stride + j)));
        for j in [0, 2] {
            let (a, b) = (rows(0, j), rows(1, j));
            column(j, _mm256_unpacklo_pd(a, b));
            column(j + 1, _mm256_unpackhi_pd(a, b));
        }
    }
}

macro_rules! squares {
    ($real:ident, $transpose:ident, $mirror:ident, $columns:ident, $store:ident, $load:ident, $blend:ident) => {
        /// [`Lanes::transpose`] in registers.
        ///
        /// # Safety
        /// Both squares must be valid, and the machine must have AVX.
        #[cfg(target_arch = "x86_64")]
        #[inline(always)]
        unsafe fn $transpose(from: *const $real, from_stride: usize, to: *mut $real, to_stride: usize) {
            use std::arch::x86_64::*;
            // SAFETY: the caller's.
            unsafe {
                $columns(
                    from,
                    from_stride,
                    #[inline(always)]
                    |j, column| $store(to.add(j * to_stride), column),
                )
            };
        }

        /// [`Lanes::mirror`] in registers: only entries below the diagonal change, and of those that are read none is kept.
        ///
        /// # Safety
        /// The square must be valid for reads and writes, and the machine must have AVX.
        #[cfg(target_arch = "x86_64")]
        #[inline(always)]
        unsafe fn $mirror(square: *mut $real, stride: usize) {
            use std::arch::x86_64::*;
            const SIDE: usize = <$real as Lanes>::SQUARE;
            // the sign bits of the part from SIDE - j on select the first j entries
            const BELOW: [$real; 2 * SIDE] = {
                let mut below = [0.0; 2 * SIDE];
                let mut i = 0;
                while i < SIDE {
                    below[i] = -0.0;
                    i += 1;
                }
                below
            };
            // SAFETY: the caller's; SIDE entries of BELOW follow the first SIDE - j.
            unsafe {
                $columns(
                    square,
                    stride,
                    #[inline(always)]
                    |j, column| {
                        let row = square.add(j * stride);
                        $store(row, $blend($load(row), column, $load(BELOW.as_ptr().add(SIDE - j))));
                    },
                );
            }
        }
    };
}
squares!(f32, transpose_f32, mirror_f32, columns_f32, _mm256_storeu_ps, _mm256_loadu_ps, _mm256_blendv_ps);
squares!(f64, transpose_f64, mirror_f64, columns_f64, _mm256_storeu_pd, _mm256_loadu_pd, _mm256_blendv_pd);

/// Stores the first `len` <= 8 entries.
///
/// # Safety
/// `to` must be valid for writes of `len` entries, and the machine must have AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn store_first_f32(len: usize, mut to: *mut f32, x: std::arch::x86_64::__m256) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        let mut x4 = _mm256_castps256_ps128(x);
        if len & 8 != 0 {
            return _mm256_storeu_ps(to, x);
        }
        if len & 4 != 0 {
            _mm_storeu_ps(to, x4);
            (to, x4) = (to.add(4), _mm256_extractf128_ps::<1>(x));
        }
        if len & 2 != 0 {
            // for numbers of four bytes: the store of one of eight wants it aligned to eight
            _mm_storel_epi64(to.cast(), _mm_castps_si128(x4));
            (to, x4) = (to.add(2), _mm_movehl_ps(x4, x4));
        }
        if len & 1 != 0 {
            _mm_store_ss(to, x4);
        }
    }
}

/// Stores the first `len` <= 4 entries.
///
/// # Safety
/// `to` must be valid for writes of `len` entries, and the machine must have AVX.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn store_first_f64(len: usize, mut to: *mut f64, x: std::arch::x86_64::__m256d) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        let mut x2 = _mm256_castpd256_pd128(x);
        if len & 4 != 0 {
            return _mm256_storeu_pd(to, x);
        }
        if len & 2 != 0 {
            _mm_storeu_pd(to, x2);
            (to, x2) = (to.add(2), _mm256_extractf128_pd::<1>(x));
        }
        if len & 1 != 0 {
            _mm_store_sd(to, x2);
        }
    }
}
