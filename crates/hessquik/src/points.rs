//! Points from rows.
use crate::{Error, Real};
use ndarray::Array2;

/// Points (n_s, d) from rows of d coordinates each: arrays, slices or vectors, from anything that can be iterated over.
///
/// ```
/// use hessquik::points;
/// let x = points([[0.1, 0.2], [-1.0, 0.5]])?;
/// assert_eq!(x.dim(), (2, 2));
/// let line = points((0..100).map(|i| [0.01 * i as f32]))?;
/// assert_eq!(line.dim(), (100, 1));
/// assert!(points([vec![1.0, 2.0], vec![3.0]]).is_err());
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if a row has another length than the first one.
pub fn points<F: Real, R: AsRef<[F]>>(rows: impl IntoIterator<Item = R>) -> Result<Array2<F>, Error> {
    let (mut entries, mut d, mut n) = (Vec::new(), 0, 0);
    for row in rows {
        let row = row.as_ref();
        if n == 0 {
            d = row.len();
        } else if row.len() != d {
            return Err(Error::shape(format!("point {n}"), &[row.len()], format!("[{d}], as the first point")));
        }
        entries.extend_from_slice(row);
        n += 1;
    }
    Ok(Array2::from_shape_vec((n, d), entries).expect("n rows of d entries"))
}
