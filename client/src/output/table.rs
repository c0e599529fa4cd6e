//! The three layouts of the predecessors.
//!
//! [`Columns`]: header, a rule of dashes, two spaces between, numbers to the right. A column is at
//! least two wider than its header (which shows only where the cells are narrow, as under
//! `frontends`), and no line ends in spaces. [`Block`]: names and values between two rules.
//! [`Plain`]: header in capitals and no rules.

use super::escape::escape;

/// Where cells stand in their column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a header and a rule.
#[derive(Debug)]
pub(crate) struct Columns {
    header: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    pub(crate) fn new(header: &[(&'static str, Align)]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells are escaped here.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows
            .push(cells.iter().map(|cell| escape(cell)).collect());
    }

    pub(crate) fn render(&self) -> String {
        let floor: Vec<usize> = self
            .header
            .iter()
            .map(|(name, _)| width(name) + 2)
            .collect();
        let widths = widths(&floor, &self.rows);
        let aligns: Vec<Align> = self.header.iter().map(|(_, align)| *align).collect();
        let names: Vec<String> = self
            .header
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let mut out = line(&names, &widths, &aligns);
        out.push_str(&rule(&widths));
        for row in &self.rows {
            out.push_str(&line(row, &widths, &aligns));
        }
        out
    }
}

/// Names and values between two rules.
#[derive(Debug, Default)]
pub(crate) struct Block {
    rows: Vec<Vec<String>>,
}

impl Block {
    pub(crate) fn row(&mut self, name: &str, value: impl Into<String>) {
        self.rows.push(vec![escape(name), escape(&value.into())]);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn render(&self) -> String {
        let widths = widths(&[0, 0], &self.rows);
        let mut out = rule(&widths);
        for row in &self.rows {
            out.push_str(&line(row, &widths, &[Align::Left, Align::Left]));
        }
        out + &rule(&widths)
    }
}

/// A table with a header in capitals; with an empty header, names and values.
#[derive(Debug)]
pub(crate) struct Plain {
    rows: Vec<Vec<String>>,
}

impl Plain {
    pub(crate) fn new(header: &[&str]) -> Self {
        let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
        Self {
            rows: if header.is_empty() {
                Vec::new()
            } else {
                vec![header]
            },
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows
            .push(cells.iter().map(|cell| escape(cell)).collect());
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths = widths(&vec![0; columns], &self.rows);
        let aligns = vec![Align::Left; columns];
        self.rows
            .iter()
            .map(|row| line(row, &widths, &aligns))
            .collect()
    }
}

fn widths(floor: &[usize], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |column: usize| {
        rows.iter()
            .filter_map(move |row| row.get(column))
            .map(|cell| width(cell))
    };
    floor
        .iter()
        .enumerate()
        .map(|(i, &min)| widest(i).max().unwrap_or(0).max(min))
        .collect()
}

fn rule(widths: &[usize]) -> String {
    let dashes: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    dashes.join("  ") + "\n"
}

fn line(cells: &[String], widths: &[usize], aligns: &[Align]) -> String {
    let mut out = String::new();
    for (i, (&column, align)) in widths.iter().zip(aligns).enumerate() {
        let cell = cells.get(i).map_or("", String::as_str);
        let padding = " ".repeat(column.saturating_sub(width(cell)));
        let gap = if i == 0 { "" } else { "  " };
        match align {
            Align::Left => out.extend([gap, cell, &padding]),
            Align::Right => out.extend([gap, &padding, cell]),
        }
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out
}

/// Width in characters; exact for all names the grammar allows.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_the_header_and_two() {
        let mut table = Columns::new(&[("name", Align::Left), ("n", Align::Right)]);
        table.row(vec!["a".to_owned(), "10".to_owned()]);
        table.row(vec!["\x1b[2Jlonger".to_owned(), "7".to_owned()]);
        assert_eq!(
            table.render(),
            "name             n\n-------------  ---\na               10\n\\x1b[2Jlonger    7\n"
        );
    }

    #[test]
    fn blocks_end_no_line_in_spaces() {
        let mut block = Block::default();
        block.row("previous release", "");
        block.row("name", "prod");
        assert_eq!(
            block.render(),
            "----------------  ----\nprevious release\nname              prod\n----------------  ----\n"
        );
    }

    #[test]
    fn plain_tables_have_no_rules() {
        let mut table = Plain::new(&["ID", "STATUS"]);
        table.row(vec!["RABCDEFGHIJ".to_owned(), String::new()]);
        assert_eq!(table.render(), "ID           STATUS\nRABCDEFGHIJ\n");
    }
}
