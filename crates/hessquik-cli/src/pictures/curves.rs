//! What is true and its approximation as curves over a line, and their difference.
use super::Picture;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;

const TRUE: RGBColor = RGBColor(150, 150, 150);
const FOUND: RGBColor = RGBColor(0, 114, 178);
const DIFFERENCE: RGBColor = RGBColor(213, 94, 0);

/// Two panels beside one another, over one input.
#[derive(Clone, Debug)]
pub struct Curves {
    /// Said above them.
    pub title: String,
    /// What the points are along.
    pub axis: String,
    /// Points, in any order.
    pub x: Vec<f64>,
    /// What is true at each.
    pub truth: Vec<f64>,
    /// What was found at each.
    pub found: Vec<f64>,
}

/// A curve: its name, its points in the order of x, and how it is drawn.
type Curve = (&'static str, Vec<(f64, f64)>, ShapeStyle);

impl Picture for Curves {
    fn size(&self) -> (u32, u32) {
        (1000, 400)
    }

    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>, scale: u32) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let mut order: Vec<usize> = (0..self.x.len()).collect();
        order.sort_by(|&a, &b| self.x[a].total_cmp(&self.x[b]));
        let curve = |value: &dyn Fn(usize) -> f64| order.iter().map(|&i| (self.x[i], value(i))).collect::<Vec<_>>();
        let values = [
            ("true", curve(&|i| self.truth[i]), TRUE.stroke_width(5 * scale)),
            ("approximation", curve(&|i| self.found[i]), FOUND.stroke_width(2 * scale)),
        ];
        let difference =
            [("difference", curve(&|i| self.found[i] - self.truth[i]), DIFFERENCE.stroke_width(2 * scale))];
        let titled = area.margin(6 * scale, 0, 0, 0).titled(&self.title, ("sans-serif", 18 * scale))?;
        let panels = titled.split_evenly((1, 2));
        self.panel(&values, &panels[0], scale)?;
        self.panel(&difference, &panels[1], scale)
    }
}

impl Curves {
    fn panel<DB: DrawingBackend>(
        &self,
        curves: &[Curve],
        area: &DrawingArea<DB, Shift>,
        scale: u32,
    ) -> Result<(), Box<dyn Error>>
    where
        DB::ErrorType: 'static,
    {
        let all = || curves.iter().flat_map(|(_, points, _)| points.iter().copied());
        let (x, y) = (super::extent(all().map(|p| p.0)), super::extent(all().map(|p| p.1)));
        let room = 0.08 * (y.1 - y.0);
        let mut chart = ChartBuilder::on(area)
            .margin(10 * scale)
            .x_label_area_size(38 * scale)
            .y_label_area_size(66 * scale)
            .build_cartesian_2d(x.0..x.1, y.0 - room..y.1 + room)?;
        let small = y.1 - y.0 < 1e-2;
        chart
            .configure_mesh()
            .x_desc(&self.axis)
            .x_max_light_lines(0)
            .y_max_light_lines(0)
            .y_label_formatter(&|v| if small { format!("{v:.1e}") } else { format!("{v}") })
            .label_style(("sans-serif", 12 * scale))
            .axis_desc_style(("sans-serif", 13 * scale))
            .draw()?;
        for (name, points, style) in curves {
            let (style, length) = (*style, 18 * scale as i32);
            let key = move |(x, y): (i32, i32)| PathElement::new(vec![(x, y), (x + length, y)], style);
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?.label(*name).legend(key);
        }
        chart
            .configure_series_labels()
            .label_font(("sans-serif", 13 * scale))
            .legend_area_size(24 * scale)
            .margin(10 * scale)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(180, 180, 180))
            .draw()?;
        Ok(())
    }
}
