//! Pictures: the texts they carry beside their pixels, a thumbnail, and a plain copy for recognition.
//!
//! A program that recognises text never sees what somebody sent: it gets a grey PNG that was made here, inside the child. The
//! `image` crate decodes within its limits; the size is checked before, from what the decoder will really make.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, GrayImage, ImageDecoder as _, ImageEncoder as _, ImageError, ImageFormat,
    ImageReader,
};

use super::output::{Output, Trouble};
use super::{caption, thumbnail};

/// Pixels of one picture: a page of A3 at 600 dpi has 70 million.
const PIXELS: u64 = 100_000_000;
/// Bytes that a decoder may allocate. Several copies must fit into the child's 1 GiB.
const DECODED_BYTES: u64 = 400 << 20;
/// Pixels over all pages of a file: the child's time is short.
const ALL_PIXELS: u64 = 1 << 30;
/// Pixels that are handed over for recognition: A4 at 600 dpi has 35 million, and letters are legible at half of that.
const RECOGNISED_PIXELS: f64 = 20_000_000.0;
/// Below this a picture is enlarged: letters on a screen are lower than the recogniser was taught.
const ENLARGED_BELOW: u32 = 2_000;
/// Pictures narrower or lower than this hold no text worth a look.
const LEAST_SIDE: u32 = 16;
/// The recogniser takes no longer side.
const LONGEST_SIDE: u32 = 32_000;

/// Reads a picture.
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let format = image::guess_format(bytes)
        .ok()
        .filter(ImageFormat::reading_enabled)
        .ok_or_else(|| Trouble::Unsupported("no picture of a known kind".to_owned()))?;
    caption::read(bytes, format, out);
    // A picture inside another file is not what that file looks like.
    let is_shown = depth == 0;
    let pages = if format == ImageFormat::Tiff { caption::tiff_pages(bytes) } else { Vec::new() };
    if pages.len() > 1 {
        read_pages(bytes, &pages, is_shown, out)
    } else {
        read_one(bytes, format, &mut { ALL_PIXELS }, is_shown, out)
    }
}

/// Reads the pages of a TIFF: faxes and scans come as one file. The decoder knows the first page only; it is given copies
/// whose header names each page in turn.
fn read_pages(bytes: &[u8], pages: &[u32], is_shown: bool, out: &mut Output) -> Result<(), Trouble> {
    let mut left = ALL_PIXELS;
    let (mut copy, mut failed) = (bytes.to_vec(), 0);
    let mut last = Ok(());
    for (number, page) in pages.iter().enumerate() {
        out.page()?;
        let Some(place) = copy.get_mut(4..8) else { break };
        // Offsets count from the start of the file, in its own byte order.
        place.copy_from_slice(&if bytes.starts_with(b"II") { page.to_le_bytes() } else { page.to_be_bytes() });
        if let Err(trouble) = read_one(&copy, ImageFormat::Tiff, &mut left, is_shown && number == 0, out) {
            failed += 1;
            last = Err(trouble);
        }
    }
    if failed == pages.len() {
        return last;
    }
    if failed > 0 {
        out.partial(format!("can't read {failed} of its {} pages", pages.len()));
    }
    Ok(())
}

fn read_one(
    bytes: &[u8],
    format: ImageFormat,
    left: &mut u64,
    is_shown: bool,
    out: &mut Output,
) -> Result<(), Trouble> {
    let (mut picture, orientation) = decode(bytes, format, left)?;
    picture.apply_orientation(orientation);
    if is_shown && let Some(small) = thumbnail::of(&picture) {
        out.thumbnail(small);
    }
    if picture.width() >= LEAST_SIDE
        && picture.height() >= LEAST_SIDE
        && let Some(png) = for_recognition(picture, 0)
    {
        out.picture(png);
    }
    Ok(())
}

fn decode(bytes: &[u8], format: ImageFormat, left: &mut u64) -> Result<(DynamicImage, Orientation), Trouble> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| trouble(&error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PIXELS || decoder.total_bytes() > DECODED_BYTES {
        return Err(Trouble::TooBig(format!("a picture of {width} by {height} pixels")));
    }
    *left = left.checked_sub(pixels).ok_or_else(|| Trouble::TooBig("its pages have too many pixels".to_owned()))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| trouble(&error))?;
    Ok((picture, orientation))
}

fn trouble(error: &ImageError) -> Trouble {
    match error {
        ImageError::Limits(_) => Trouble::TooBig(error.to_string()),
        ImageError::Unsupported(_) => Trouble::Unsupported(error.to_string()),
        _ => Trouble::Damaged(error.to_string()),
    }
}

/// A grey PNG of a picture, turned clockwise by `turned` degrees, of a size that suits the recogniser; `None` for one that has
/// no such form.
pub(super) fn for_recognition(picture: DynamicImage, turned: i32) -> Option<Vec<u8>> {
    let mut grey = on_white(picture);
    let (width, height) = grey.dimensions();
    if width == 0 || height == 0 {
        return None;
    }
    let (long, short) = (width.max(height), width.min(height));
    let scale = if long < ENLARGED_BELOW {
        2.0
    } else {
        let by_area = (RECOGNISED_PIXELS / (f64::from(width) * f64::from(height))).sqrt();
        by_area.min(f64::from(LONGEST_SIDE) / f64::from(long)).min(1.0)
    };
    if f64::from(short) * scale < 1.0 {
        return None;
    }
    let (new_width, new_height) = (scaled(width, scale), scaled(height, scale));
    if new_width > width {
        grey = imageops::resize(&grey, new_width, new_height, imageops::FilterType::Triangle);
    } else if new_width < width || new_height < height {
        // It needs no copy in floating point, which for the largest pictures would not fit.
        grey = imageops::thumbnail(&grey, new_width, new_height);
    }
    let grey = match turned.rem_euclid(360) {
        90 => imageops::rotate90(&grey),
        180 => imageops::rotate180(&grey),
        270 => imageops::rotate270(&grey),
        _ => grey,
    };
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Up)
        .write_image(grey.as_raw(), grey.width(), grey.height(), ExtendedColorType::L8)
        .ok()?;
    Some(png)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sides are between 1 and 32,000 here")]
fn scaled(side: u32, scale: f64) -> u32 {
    ((f64::from(side) * scale).round() as u32).max(1)
}

/// A grey picture, what is transparent on white: a drawing in black on nothing would else be black on black.
fn on_white(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let picture = picture.into_luma_alpha8();
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [light, alpha] = picture.get_pixel(x, y).0.map(u16::from);
        image::Luma([u8::try_from((light * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)])
    })
}

#[cfg(test)]
mod tests {
    use image::{GenericImageView as _, Rgb, RgbImage};
    use proptest::prelude::*;

    use super::super::output::{Limits, Parts};
    use super::*;

    fn read_all(bytes: &[u8]) -> (Result<(), Trouble>, Parts) {
        let mut out = Output::new(Limits::default());
        let outcome = read(bytes, &mut out, 0);
        (outcome, out.into_parts())
    }

    /// Left half black, right half white.
    fn halves(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_fn(width, height, |x, _| Rgb(if x < width / 2 { [0; 3] } else { [255; 3] })).into()
    }

    fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), format).expect("the format holds RGB");
        bytes
    }

    /// A JPEG that says it is to be turned: EXIF's orientation 6, clockwise by 90 degrees.
    fn turned() -> Vec<u8> {
        let jpeg = written(&halves(80, 40), ImageFormat::Jpeg);
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        [&jpeg[..2], exif, &jpeg[2..]].concat()
    }

    /// Two pages of 32 by 32 grey pixels.
    fn two_pages() -> Vec<u8> {
        let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
        for page in 0_u32..2 {
            let start = u32::try_from(bytes.len()).expect("it is small");
            let pixels = start + 2 + 8 * 12 + 4;
            let next = if page == 0 { pixels + 1024 } else { 0 };
            bytes.extend(8_u16.to_le_bytes());
            for (tag, value) in
                [(256_u16, 32), (257, 32), (258, 8), (259, 1), (262, 1), (273, pixels), (278, 32), (279, 1024_u32)]
            {
                bytes.extend([&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat());
            }
            bytes.extend(next.to_le_bytes());
            bytes.extend([200; 1024]);
        }
        bytes
    }

    #[test]
    fn every_kind_of_picture_gives_a_thumbnail_and_a_grey_copy() {
        for format in [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::Gif,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
            ImageFormat::WebP,
        ] {
            let (outcome, parts) = read_all(&written(&halves(80, 40), format));
            assert_eq!(outcome, Ok(()), "{format:?}");
            let small = image::load_from_memory(&parts.thumbnail.expect("one is made")).expect("it was just written");
            assert_eq!(small.dimensions(), (80, 40), "{format:?}");
            let grey = image::load_from_memory(&parts.pictures[0]).expect("it was just written");
            assert_eq!((grey.dimensions(), grey.color()), ((160, 80), image::ColorType::L8), "{format:?}");
            let grey = grey.to_luma8();
            assert!(grey.get_pixel(10, 40).0[0] < 20 && grey.get_pixel(150, 40).0[0] > 235, "{format:?}");
        }
    }

    #[test]
    fn a_picture_stands_upright() {
        let (outcome, parts) = read_all(&turned());
        assert_eq!(outcome, Ok(()));
        let small = image::load_from_memory(&parts.thumbnail.expect("one is made")).expect("it was just written");
        assert_eq!(small.dimensions(), (40, 80));
        let small = small.to_luma8();
        assert!(small.get_pixel(20, 5).0[0] < 20 && small.get_pixel(20, 75).0[0] > 235, "left has become the top");
    }

    #[test]
    fn each_page_of_a_tiff_is_looked_at() {
        let (outcome, parts) = read_all(&two_pages());
        assert_eq!((outcome, parts.pictures.len(), parts.pages), (Ok(()), 2, Some(2)));
        let mut damaged = two_pages();
        // The second page says it is compressed in a way that nobody knows.
        let place = damaged.len() - 1024 - 4 - 5 * 12 + 8;
        damaged[place] = 77;
        let (outcome, parts) = read_all(&damaged);
        assert_eq!((outcome, parts.pictures.len(), parts.is_partial), (Ok(()), 1, true));
    }

    #[test]
    fn a_picture_larger_than_memory_is_too_big() {
        let mut map = written(&halves(4, 4), ImageFormat::Bmp);
        map[18..22].copy_from_slice(&60_000_i32.to_le_bytes());
        map[22..26].copy_from_slice(&60_000_i32.to_le_bytes());
        let mut film = written(&halves(4, 4), ImageFormat::Gif);
        film[6..10].copy_from_slice(&[0xff; 4]);
        for bytes in [map, film] {
            let (outcome, parts) = read_all(&bytes);
            assert!(matches!(outcome, Err(Trouble::TooBig(_))), "{outcome:?}");
            assert!(parts.thumbnail.is_none() && parts.pictures.is_empty());
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for (bytes, is_known) in [(&b"words"[..], false), (b"\x89PNG\r\n\x1a\n", true), (b"\xff\xd8\xff\xe0", true)] {
            let (outcome, _) = read_all(bytes);
            let expected = if is_known {
                matches!(outcome, Err(Trouble::Damaged(_)))
            } else {
                matches!(outcome, Err(Trouble::Unsupported(_)))
            };
            assert!(expected, "{outcome:?}");
        }
    }

    #[test]
    fn the_copy_for_recognition_suits_the_recogniser() {
        for (width, height, turned, expected) in [
            (100, 50, 0, Some((200, 100))),
            (100, 50, 90, Some((100, 200))),
            (100, 50, -90, Some((100, 200))),
            (2_000, 1_000, 180, Some((2_000, 1_000))),
            (10_000, 8_000, 0, Some((5_000, 4_000))),
            (64_000, 2, 0, Some((32_000, 1))),
            (0, 0, 0, None),
        ] {
            let png = for_recognition(DynamicImage::new_luma8(width, height), turned);
            let found = png.map(|png| image::load_from_memory(&png).expect("it was just written").dimensions());
            assert_eq!(found, expected, "{width} by {height}");
        }
        // Black on nothing.
        let clear = image::RgbaImage::from_fn(40, 40, |x, _| image::Rgba([0, 0, 0, if x < 20 { 255 } else { 0 }]));
        let png = for_recognition(clear.into(), 0).expect("it has pixels");
        let grey = image::load_from_memory(&png).expect("it was just written").to_luma8();
        assert_eq!((grey.get_pixel(5, 5).0, grey.get_pixel(75, 5).0), ([0], [255]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_damage_gets_past_the_reader(which in 0_usize..8, cut in 0_usize..4_000, flips in proptest::collection::vec((0_usize..4_000, any::<u8>()), 0..12)) {
            let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP];
            let mut bytes = match formats.get(which) {
                Some(format) => written(&halves(40, 20), *format),
                None if which == 6 => turned(),
                None => two_pages(),
            };
            let length = bytes.len();
            for (place, value) in flips {
                bytes[place % length] = value;
            }
            bytes.truncate(cut.min(length));
            let (_, parts) = read_all(&bytes);
            prop_assert!(parts.thumbnail.is_none_or(|bytes| bytes.len() <= 64 << 10));
        }
    }
}
