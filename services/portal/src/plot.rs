//! Figures as small plots: SVG inside the page, since its policy allows neither scripts nor styles there.

use std::fmt::{self, Formatter, Write as _};

use crate::figures::{Figure, Known};

/// The plot in its own units.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 60.0;

/// All figures, or why there are none.
pub(crate) fn all(out: &mut Formatter<'_>, known: &Known) -> fmt::Result {
    match known {
        Known::Nothing => write!(out, r#"<p class="quiet">They are being asked for.</p>"#),
        Known::Away => write!(
            out,
            r#"<p class="warning">Prometheus does not answer: there are no figures.</p>"#
        ),
        Known::Figures(figures) => {
            write!(out, r#"<div class="plots">"#)?;
            figures.iter().try_for_each(|figure| one(out, figure))?;
            write!(out, "</div>")
        }
    }
}

fn one(out: &mut Formatter<'_>, figure: &Figure) -> fmt::Result {
    let (id, title, unit) = (figure.kind.id, figure.kind.title, figure.kind.unit);
    let mut values = figure.points.iter().map(|(_, value)| *value);
    let highest = values.clone().fold(0.0, f64::max);
    let now = values.next_back().map_or("none".to_owned(), rounded);
    let most = rounded(highest);
    write!(
        out,
        r#"<figure class="plot" data-figure="{id}"><figcaption>{title}: <strong>{now}</strong> {unit} <span class="word">(up to {most})</span></figcaption>
<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{title} of the last 15 minutes: {now} {unit}, up to {most}"><polyline points="{}"/></svg></figure>
"#,
        line(&figure.points, highest)
    )
}

/// The line of a plot from 0 to its highest value; one that is 0 throughout lies at the bottom.
fn line(points: &[(f64, f64)], highest: f64) -> String {
    let scale = if highest > 0.0 { highest } else { 1.0 };
    let mut line = String::new();
    for (place, value) in points {
        let (x, y) = (place * WIDTH, (1.0 - value.max(0.0) / scale) * HEIGHT);
        // Writing into a String cannot fail.
        let _ = write!(line, "{x:.1},{y:.1} ");
    }
    line.truncate(line.trim_end().len());
    line
}

/// Three figures are enough.
fn rounded(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_value_is_at_the_top_and_nothing_at_the_bottom() {
        let points = [(0.0, 0.0), (0.5, 4.0), (1.0, 2.0)];
        assert_eq!(line(&points, 4.0), "0.0,60.0 150.0,0.0 300.0,30.0");
        assert_eq!(line(&[(1.0, 0.0)], 0.0), "300.0,60.0");
        assert_eq!(line(&[], 0.0), "");
    }

    #[test]
    fn numbers_are_short() {
        let all = [0.0, 0.123_4, 12.34, 1234.5].map(rounded);
        assert_eq!(all, ["0", "0.12", "12.3", "1234"]);
    }
}
