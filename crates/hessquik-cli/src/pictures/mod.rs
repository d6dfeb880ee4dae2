//! Pictures as PNG and SVG.
mod convergence;
mod curves;
mod maps;

pub use convergence::Convergence;
pub use curves::Curves;
pub use maps::Maps;

use crate::failure::Failure;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;
use std::sync::Once;

/// Pixels of a PNG for each unit of an SVG.
const SCALE: u32 = 2;

/// Something that can be drawn by any backend.
pub trait Picture {
    /// Width and height.
    fn size(&self) -> (u32, u32);

    /// Draws it with all lengths times `scale`.
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static;
}

/// The least and the largest number, apart from one another.
fn extent(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low < high { (low, high) } else { (low - 0.5, low + 0.5) }
}

/// Gives plotters the letters of the pictures. With its feature for bitmaps it has no others, for SVG neither.
pub fn font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let letters = include_bytes!("sans.ttf");
        let registered = plotters::style::register_font("sans-serif", FontStyle::Normal, letters);
        assert!(registered.is_ok(), "the embedded font is valid");
    });
}

/// Writes a picture as PNG and SVG.
pub fn write(picture: &impl Picture, png_path: &Path, svg_path: &Path) -> Result<(), Failure> {
    let wrong = |e: Box<dyn Error>| Failure::file(png_path, format!("cannot be drawn: {e}"));
    std::fs::write(png_path, png(picture).map_err(wrong)?).map_err(Failure::io(png_path))?;
    std::fs::write(svg_path, svg(picture).map_err(wrong)?).map_err(Failure::io(svg_path))
}

fn svg(picture: &impl Picture) -> Result<Vec<u8>, Box<dyn Error>> {
    font();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, picture.size()).into_drawing_area();
        area.fill(&WHITE)?;
        picture.draw(&area, 1)?;
        area.present()?;
    }
    Ok(text.into_bytes())
}

fn png(picture: &impl Picture) -> Result<Vec<u8>, Box<dyn Error>> {
    font();
    let (width, height) = picture.size();
    let (width, height) = (width * SCALE, height * SCALE);
    let mut pixels = vec![255; 3 * (width * height) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        picture.draw(&area, SCALE)?;
        area.present()?;
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(bytes)
}
