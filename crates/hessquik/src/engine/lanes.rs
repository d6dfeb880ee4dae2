//! Vectors of either precision, as wide as the machine's.
use pulp::{MemMask, Simd};

/// What the product kernels need of `f32` and `f64`: vectors of them under an instruction set `S`.
///
/// A supertrait of [`Real`](crate::Real).
#[allow(missing_docs)] // one instruction each
pub trait Lanes: Copy {
    type Vector<S: Simd>: Copy;
    type Mask<S: Simd>: Copy;

    /// Entries of a vector.
    fn lanes<S: Simd>() -> usize;

    /// Selects the first `len` entries, at most all.
    fn mask<S: Simd>(simd: S, len: usize) -> Self::Mask<S>;

    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;

    /// `a b + c`, rounded once where the machine can.
    fn fused<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    /// The sum of all entries.
    fn total<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;

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

macro_rules! lanes {
    ($real:ident, $index:ident, $vector:ident, $mask:ident, $lanes:ident, $between:ident, $splat:ident, $mul_add:ident,
     $sum:ident, $load_part:ident, $store_part:ident) => {
        impl Lanes for $real {
            type Vector<S: Simd> = S::$vector;
            type Mask<S: Simd> = MemMask<S::$mask>;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn mask<S: Simd>(simd: S, len: usize) -> Self::Mask<S> {
                // the bare mask: pulp's own `MemMask` calls a function for each access
                MemMask::new(simd.$between(0, len.min(S::$lanes) as $index).mask())
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
            fn total<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }
            #[inline(always)]
            unsafe fn load<S: Simd>(_: S, from: *const Self) -> S::$vector {
                // SAFETY: the caller says that a vector can be read here; it need not be aligned.
                unsafe { from.cast::<S::$vector>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn load_part<S: Simd>(simd: S, mask: Self::Mask<S>, from: *const Self) -> S::$vector {
                // SAFETY: the caller says that the selected entries can be read.
                unsafe { simd.$load_part(mask, from) }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(_: S, to: *mut Self, x: S::$vector) {
                // SAFETY: the caller says that a vector can be written here; it need not be aligned.
                unsafe { to.cast::<S::$vector>().write_unaligned(x) }
            }
            #[inline(always)]
            unsafe fn store_part<S: Simd>(simd: S, mask: Self::Mask<S>, to: *mut Self, x: S::$vector) {
                // SAFETY: the caller says that the selected entries can be written.
                unsafe { simd.$store_part(mask, to, x) }
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
    reduce_sum_f32s,
    mask_load_ptr_f32s,
    mask_store_ptr_f32s
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
    reduce_sum_f64s,
    mask_load_ptr_f64s,
    mask_store_ptr_f64s
);
