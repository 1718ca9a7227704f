//! Presentations since 2007: slides in their order, with their notes and comments, hidden ones too.

use super::drawing::{self, Shapes};
use super::output::{Output, Trouble};
use super::package::{Package, Relation, is_xml};
use super::xml::{Event, walk};

/// Reads a `.pptx` or one of its kin (`.pptm`, `.ppsx`, `.potx`).
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut package = Package::open(bytes, out)?;
    let names = package.names();
    if !names.iter().any(|name| name.starts_with("ppt/")) {
        return Err(Trouble::Damaged("it has no slides".to_owned()));
    }
    let main = package.relations("", out).into_iter().find(|relation| relation.kind == "officeDocument");
    let main = main.map(|relation| relation.target).filter(|target| names.contains(target));
    let main = main.unwrap_or_else(|| "ppt/presentation.xml".to_owned());
    drawing::properties(&mut package, out);

    let relations = package.relations(&main, out);
    let mut slides = in_order(&mut package, &main, &relations, out);
    let listed = slides.len();
    let rest = package.numbered(|name| name.starts_with("ppt/slides/slide") && !slides.iter().any(|part| part == name));
    slides.extend(rest);
    let mut done: Vec<String> = Vec::new();
    for (place, slide) in slides.iter().enumerate() {
        if out.is_full() {
            break;
        }
        out.page()?;
        if place >= listed && listed > 0 {
            out.note(format!("{slide} is not listed in the presentation"));
        }
        one_slide(&mut package, slide, place + 1, &mut done, out);
    }
    // What no slide points to any more, and what the masters add to every slide.
    for name in package.numbered(|name| name.starts_with("ppt/") && is_xml(name)) {
        let file = name.rsplit('/').next().unwrap_or_default();
        if done.contains(&name) {
            continue;
        }
        if file.starts_with("slideMaster") || file.starts_with("slideLayout") {
            write_shapes(&mut package, &name, "master", Shapes::Fixed, out);
        } else if file.starts_with("notesSlide") {
            write_shapes(&mut package, &name, "notes", Shapes::All, out);
        } else if name.starts_with("ppt/comments/") || drawing::is_figure(&name) {
            write_shapes(&mut package, &name, "figure", Shapes::All, out);
        } else if file.starts_with("commentAuthors") || file == "authors.xml" {
            authors(&mut package, &name, out);
        }
    }
    let inside = package.numbered(|name| name.contains("/embeddings/"));
    drawing::embedded_parts(&mut package, &inside, out, depth);
    Ok(())
}

/// The slides in the order in which they are shown.
fn in_order(package: &mut Package<'_>, main: &str, relations: &[Relation], out: &mut Output) -> Vec<String> {
    let mut slides = Vec::new();
    let Some(text) = package.optional_xml(main, out) else { return slides };
    walk(main, &text, out, |event, _| {
        if let Event::Start(tag) = event
            && tag.name() == "sldId"
            && let Some(id) = tag.prefixed("id")
            && let Some(relation) = relations.iter().find(|relation| relation.id == id)
            && !slides.contains(&relation.target)
        {
            slides.push(relation.target.clone());
        }
        Ok(())
    });
    slides
}

fn one_slide(package: &mut Package<'_>, slide: &str, number: usize, done: &mut Vec<String>, out: &mut Output) {
    out.part(&format!("slide {number}"));
    let Some(text) = package.optional_xml(slide, out) else { return };
    let found = drawing::collect(slide, &text, out, Shapes::All);
    if found.is_hidden {
        out.note(format!("slide {number} is hidden"));
    }
    for line in &found.lines {
        out.text(line);
        out.line_break();
    }
    drawing::lines("pictures", &found.alternatives, out);
    let mut links = Vec::new();
    for relation in package.relations(slide, out) {
        let title = match relation.kind.as_str() {
            "hyperlink" if relation.is_external => {
                links.push(relation.target);
                continue;
            }
            "notesSlide" => "notes",
            "comments" => "comments",
            "chart" | "diagramData" | "chartEx" => "figure",
            _ => continue,
        };
        if !done.contains(&relation.target) {
            write_shapes(package, &relation.target, title, Shapes::All, out);
            done.push(relation.target);
        }
    }
    drawing::lines("links", &links, out);
}

fn write_shapes(package: &mut Package<'_>, part: &str, title: &str, shapes: Shapes, out: &mut Output) {
    let Some(text) = package.optional_xml(part, out) else { return };
    let found = drawing::collect(part, &text, out, shapes);
    drawing::lines(title, &found.lines, out);
    if shapes == Shapes::All {
        drawing::lines("pictures", &found.alternatives, out);
    }
}

fn authors(package: &mut Package<'_>, part: &str, out: &mut Output) {
    let Some(text) = package.optional_xml(part, out) else { return };
    let mut names = Vec::new();
    walk(part, &text, out, |event, _| {
        if let Event::Start(tag) = event {
            names.extend(tag.plain("name").filter(|_| matches!(tag.name(), "cmAuthor" | "author")));
        }
        Ok(())
    });
    drawing::lines("authors of comments", &names, out);
}

#[cfg(test)]
mod tests {
    use super::super::package::tests::{found, packed, survives};
    use super::*;

    fn show() -> Vec<u8> {
        packed(&[
            (
                "ppt/presentation.xml",
                "<p><p:sldIdLst><p:sldId id='1' r:id='b'/><p:sldId id='2' r:id='a'/></p:sldIdLst></p>",
            ),
            (
                "ppt/_rels/presentation.xml.rels",
                "<R><Relationship Id='a' Type='x/slide' Target='slides/slide1.xml'/>\
                 <Relationship Id='b' Type='x/slide' Target='slides/slide2.xml'/></R>",
            ),
            (
                "ppt/slides/slide1.xml",
                "<p:sld show='0'><p:sp><p:cNvPr descr='A chart of sales'/><a:p><a:r><a:t>second </a:t></a:r><a:r><a:t>slide</a:t></a:r></a:p></p:sp></p:sld>",
            ),
            ("ppt/slides/slide2.xml", "<p:sld><a:p><a:r><a:t>first</a:t></a:r></a:p></p:sld>"),
            (
                "ppt/slides/_rels/slide1.xml.rels",
                "<R><Relationship Id='1' Type='x/notesSlide' Target='../notesSlides/notesSlide1.xml'/>\
                 <Relationship Id='2' Type='x/comments' Target='../comments/comment1.xml'/>\
                 <Relationship Id='3' Type='x/diagramData' Target='../diagrams/data1.xml'/>\
                 <Relationship Id='4' Type='x/hyperlink' TargetMode='External' Target='http://z.example/'/></R>",
            ),
            ("ppt/notesSlides/notesSlide1.xml", "<p:notes><a:p><a:t>say this</a:t></a:p></p:notes>"),
            ("ppt/comments/comment1.xml", "<c><p:cm><p:text>really?</p:text></p:cm></c>"),
            ("ppt/diagrams/data1.xml", "<d><dgm:t><a:p><a:t>step one</a:t></a:p></dgm:t></d>"),
            (
                "ppt/slideMasters/slideMaster1.xml",
                "<m><p:sp><p:ph/><a:p><a:t>Click to edit</a:t></a:p></p:sp><p:sp><a:p><a:t>Confidential</a:t></a:p></p:sp></m>",
            ),
            ("ppt/commentAuthors.xml", "<a><p:cmAuthor name='Eve'/></a>"),
        ])
    }

    #[test]
    fn slides_stand_in_order_with_what_belongs_to_them() {
        let (text, notes) = found(read, &show());
        assert_eq!(
            text,
            "slide 1/first|slide 2/second slide|pictures/A chart of sales|notes/say this|comments/really?\
             |figure/step one|links/http://z.example/|authors of comments/Eve|master/Confidential"
        );
        assert_eq!(notes, ["slide 2 is hidden"]);
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        survives(read, &show());
    }
}
