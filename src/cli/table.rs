//! Tables on standard output.

use super::output::on_one_line;

/// A head and rows of as many cells, in columns. What may be long or of another script belongs into
/// the last one.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let shown =
        |row: &Vec<String>| -> Vec<String> { row.iter().map(|cell| on_one_line(cell)).collect() };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(shown)).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let table = table(&["ID", "NAME"], &[row("1", "one"), row("1000", ""), row("2", "สวัสดี")]);
        assert_eq!(table, "ID    NAME\n1     one\n1000\n2     สวัสดี");
    }

    #[test]
    fn a_cell_is_one_line_whatever_is_in_it() {
        let table = table(&["A"], &[vec!["a\x1b[2J\nb".to_owned()]]);
        assert_eq!(table, "A\na\\u{1b}[2J\\nb");
    }
}
