//! Reads QNAT version 2 (dialect 1), as SPEC.md of @qlora/qnat-writer has it, into Candle tensors: dense ones in their own
//! type, quantized ones decoded to f32. One file, written from the specification; copy it into a project of your own.
//!
//! ```no_run
//! let mut file = qnat::Qnat::open("model.qnat")?;
//! let weight = file.tensor("model.layers.0.mlp.up_proj.weight", &candle_core::Device::Cpu)?;
//! # Ok::<(), qnat::Error>(())
//! ```
//!
//! The file is not trusted: sizes are compared with the file's before anything is allocated, every checksum is computed,
//! and an error names the rule of the specification that is broken.

use candle_core::{DType, Device, Tensor};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{fmt, fs, io, io::Read, io::Seek, path::Path};

const ALIGNMENT: u64 = 64;
const MAX_DIRECTORY: u64 = 134_217_728;
const MAX_VALUES: usize = 4_194_304;
const MAX_DEPTH: usize = 64;
const MAX_TENSORS: usize = 131_072;
const MAX_SAFE: u64 = (1 << 53) - 1;
const NESTED_BLOCK: u64 = 256;

/// Why a file is not read.
#[derive(Debug)]
pub struct Error {
    /// The rule of SPEC.md, or `io`, `candle`, `name`.
    pub rule: &'static str,
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} (qnat/{})", self.message, self.rule)
    }
}
impl std::error::Error for Error {}
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error {
            rule: "io",
            message: error.to_string(),
        }
    }
}
impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Error {
            rule: "candle",
            message: error.to_string(),
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;

fn refuse<T>(rule: &'static str, message: impl Into<String>) -> Result<T> {
    Err(Error {
        rule,
        message: message.into(),
    })
}

fn need(condition: bool, rule: &'static str, message: &str) -> Result<()> {
    if condition {
        Ok(())
    } else {
        refuse(rule, message)
    }
}

/// How a tensor is quantized.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantization {
    /// `nf4` or `fp4`.
    pub scheme: String,
    pub strategy: Strategy,
    /// Whether the scales are in 8 bits.
    pub double: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strategy {
    Blockwise { block_size: u64 },
    PerChannel { axis: usize },
    ZeroPoint { block_size: u64 },
}

/// A tensor of the directory.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// Of a quantized tensor, the type that it was quantized from.
    pub dtype: String,
    pub shape: Vec<u64>,
    pub quantization: Option<Quantization>,
    offset: u64,
    size: u64,
    crc32: u32,
    sections: Vec<(&'static str, u64, u64)>,
}

impl Entry {
    /// Number of values. The shape was checked, so it does not overflow.
    pub fn count(&self) -> u64 {
        self.shape.iter().product()
    }
}

/// An open file.
pub struct Qnat<R> {
    reader: R,
    data_start: u64,
    /// `config`, `tokenizer`, …
    pub metadata: Map<String, Value>,
    /// In the order of the file.
    pub entries: Vec<Entry>,
}

impl Qnat<fs::File> {
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Qnat::new(fs::File::open(path)?)
    }
}

impl<R: Read + Seek> Qnat<R> {
    /// Reads and checks header and directory.
    pub fn new(mut reader: R) -> Result<Self> {
        let file_size = reader.seek(io::SeekFrom::End(0))?;
        need(file_size >= 64, "truncated", "fewer bytes than a header")?;
        reader.seek(io::SeekFrom::Start(0))?;
        let mut head = [0u8; 64];
        reader.read_exact(&mut head)?;
        let u16_at = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        need(&head[..4] == b"QNAT", "magic", "is no QNAT file")?;
        need(
            u16_at(4) == 2 && u16_at(6) == 1,
            "version",
            "is not version 2 of dialect 1",
        )?;
        need(
            crc32(0, &head[..60]) == u32_at(60),
            "header-checksum",
            "the header is damaged",
        )?;
        need(
            u32_at(12) as u64 == ALIGNMENT,
            "alignment",
            "alignment is not 64",
        )?;
        need(u32_at(56) == 0, "reserved", "reserved bytes are not zero")?;
        let [start, directory_size, data_start, data_size] = [16, 24, 32, 40].map(u64_at);
        let fits = [start, directory_size, data_start, data_size]
            .iter()
            .all(|&n| n <= file_size);
        need(
            fits,
            "size",
            "the header speaks of more bytes than the file has",
        )?;
        need(
            start == 64,
            "directory-offset",
            "the directory does not begin at 64",
        )?;
        need(
            directory_size <= MAX_DIRECTORY,
            "directory-size",
            "the directory is too large",
        )?;
        let tensor_count = u32_at(48) as usize;
        need(
            tensor_count <= MAX_TENSORS,
            "tensor-count",
            "there are too many tensors",
        )?;
        need(
            data_start == align(64 + directory_size),
            "data-offset",
            "the data begins elsewhere",
        )?;
        need(
            data_start + data_size == file_size,
            "file-size",
            "the data does not end with the file",
        )?;

        let mut raw = vec![0u8; (data_start - 64) as usize];
        reader.read_exact(&mut raw)?;
        let padding = raw.split_off(directory_size as usize);
        need(
            crc32(0, &raw) == u32_at(52),
            "directory-checksum",
            "the directory is damaged",
        )?;
        need(
            padding.iter().all(|&b| b == 0),
            "padding",
            "padding is not zero",
        )?;
        let (metadata, entries) = parse_directory(&raw)?;
        need(
            entries.len() == tensor_count,
            "tensor-count",
            "there are more or fewer tensors",
        )?;
        let end = entries.last().map_or(0, |entry| entry.offset + entry.size);
        need(
            end == data_size,
            "data-size",
            "the tensors take more or fewer bytes",
        )?;
        let mut flags = 0;
        for quantization in entries
            .iter()
            .filter_map(|entry| entry.quantization.as_ref())
        {
            flags |= 1 | (quantization.double as u32) << 1;
            flags |= (matches!(quantization.strategy, Strategy::ZeroPoint { .. }) as u32) << 2;
        }
        need(
            flags == u32_at(8),
            "flags",
            "the flags are not those of the tensors",
        )?;
        Ok(Qnat {
            reader,
            data_start,
            metadata,
            entries,
        })
    }

    /// The entry of a tensor.
    pub fn entry(&self, name: &str) -> Result<&Entry> {
        let found = self.entries.iter().find(|entry| entry.name == name);
        found.ok_or_else(|| Error {
            rule: "name",
            message: format!("no tensor named {name:?}"),
        })
    }

    /// The bytes of each section of a tensor, its checksum computed.
    fn sections(&mut self, entry: &Entry) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let mut block = vec![0u8; entry.size as usize];
        self.reader
            .seek(io::SeekFrom::Start(self.data_start + entry.offset))?;
        self.reader.read_exact(&mut block)?;
        need(
            crc32(0, &block) == entry.crc32,
            "checksum",
            &format!("{:?} is damaged", entry.name),
        )?;
        let mut end = 0;
        let mut sections = Vec::new();
        for &(section, offset, length) in &entry.sections {
            let (start, stop) = (offset as usize, (offset + length) as usize);
            need(
                block[end..start].iter().all(|&b| b == 0),
                "padding",
                "padding is not zero",
            )?;
            sections.push((section, block[start..stop].to_vec()));
            end = stop;
        }
        need(
            block[end..].iter().all(|&b| b == 0),
            "padding",
            "padding is not zero",
        )?;
        Ok(sections)
    }

    /// The values of a quantized tensor in f32, row-major.
    pub fn dequantize(&mut self, name: &str) -> Result<Vec<f32>> {
        let entry = self.entry(name)?.clone();
        let Some(quantization) = &entry.quantization else {
            return refuse("name", format!("{name:?} is not quantized"));
        };
        let sections = self.sections(&entry)?;
        Ok(decode(&entry, quantization, &sections))
    }

    /// A tensor: quantized ones in f32; of the types that Candle has not, `bool` as u8, `i8` as i16, `u16` as u32, and `u64`
    /// as i64 if its values fit.
    pub fn tensor(&mut self, name: &str, device: &Device) -> Result<Tensor> {
        let entry = self.entry(name)?.clone();
        let shape: Vec<usize> = entry.shape.iter().map(|&length| length as usize).collect();
        if entry.quantization.is_some() {
            return Ok(Tensor::from_vec(self.dequantize(name)?, shape, device)?);
        }
        let raw = self.sections(&entry)?.remove(0).1;
        let dense = |dtype| Ok(Tensor::from_raw_buffer(&raw, dtype, &shape, device)?);
        match entry.dtype.as_str() {
            "f64" => dense(DType::F64),
            "f32" => dense(DType::F32),
            "f16" => dense(DType::F16),
            "bf16" => dense(DType::BF16),
            "i64" => dense(DType::I64),
            "i32" => dense(DType::I32),
            "i16" => dense(DType::I16),
            "u32" => dense(DType::U32),
            "u8" | "bool" => dense(DType::U8),
            "i8" => {
                let values: Vec<i16> = raw.iter().map(|&b| b as i8 as i16).collect();
                Ok(Tensor::from_vec(values, shape, device)?)
            }
            "u16" => {
                let values: Vec<u32> = raw
                    .chunks_exact(2)
                    .map(|b| u16::from_le_bytes([b[0], b[1]]) as u32)
                    .collect();
                Ok(Tensor::from_vec(values, shape, device)?)
            }
            _ => {
                let values = raw
                    .chunks_exact(8)
                    .map(|b| u64::from_le_bytes(b.try_into().unwrap()));
                let Ok(values) = values
                    .map(i64::try_from)
                    .collect::<std::result::Result<Vec<_>, _>>()
                else {
                    return refuse("candle", format!("{name:?} holds numbers beyond i64"));
                };
                Ok(Tensor::from_vec(values, shape, device)?)
            }
        }
    }
}

// --- Values

/// The 16 values of a scheme, as the specification has their bits.
fn codebook(scheme: &str) -> [f32; 16] {
    let bits: [u32; 16] = match scheme {
        "nf4" => [
            0xbf800000, 0xbf3239b1, 0xbf066b30, 0xbeca32a0, 0xbe91a24d, 0xbe3d353f, 0xbdba7871,
            0x00000000, 0x3da2faff, 0x3e24cae3, 0x3e7c04dd, 0x3ead033a, 0x3ee1a4b8, 0x3f1007ab,
            0x3f3913b3, 0x3f800000,
        ],
        _ => [
            0x00000000, 0x3baaaaab, 0x3f2aaaab, 0x3f800000, 0x3eaaaaab, 0x3f000000, 0x3e2aaaab,
            0x3e800000, 0x00000000, 0xbbaaaaab, 0xbf2aaaab, 0xbf800000, 0xbeaaaaab, 0xbf000000,
            0xbe2aaaab, 0xbe800000,
        ],
    };
    bits.map(f32::from_bits)
}

/// The 256 values of `dynamic8`: for each of seven ranges, the middles of 2^i equal steps from 0.1 to 1, in f32 as the
/// specification rounds them, times 10^(i − 6); their negatives, 0 and 1.
fn dynamic_map() -> [f32; 256] {
    let mut values = vec![0f32, 1.0];
    let powers: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
    for (i, power) in powers.into_iter().enumerate() {
        let items = 1usize << i;
        let step = (1.0f32 - 0.1f32) / items as f32;
        // One rounding: the product of two f32 and a sum with a third are exact enough in f64.
        let bound = |j: usize| {
            if j < (items + 1) >> 1 {
                (0.1f32 as f64 + step as f64 * j as f64) as f32
            } else {
                (1.0 - step as f64 * (items - j) as f64) as f32
            }
        };
        for j in 0..items {
            let value = power * ((bound(j) + bound(j + 1)) / 2.0);
            values.extend([value, -value]);
        }
    }
    values.sort_by(f32::total_cmp);
    values.try_into().expect("256 values")
}

fn floats(raw: &[u8]) -> Vec<f32> {
    raw.chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

fn decode(entry: &Entry, quantization: &Quantization, sections: &[(&str, Vec<u8>)]) -> Vec<f32> {
    let section = |name: &str| {
        let found = sections.iter().find(|(section, _)| *section == name);
        found.map_or(&[] as &[u8], |(_, bytes)| bytes)
    };
    let book = codebook(&quantization.scheme);
    let codes = section("codes");
    let code = |i: usize| {
        (if i % 2 == 0 {
            codes[i / 2] >> 4
        } else {
            codes[i / 2] & 15
        }) as usize
    };
    let scales = if quantization.double {
        let map = dynamic_map();
        let nested = floats(section("nested_absmax"));
        let offset = floats(section("nested_offset"))[0];
        let codes = section("scale_codes").iter().enumerate();
        codes
            .map(|(k, &c)| map[c as usize] * nested[k / NESTED_BLOCK as usize] + offset)
            .collect()
    } else {
        floats(section("scales"))
    };
    let count = entry.count() as usize;
    match quantization.strategy {
        Strategy::Blockwise { block_size } => {
            let block = block_size as usize;
            (0..count)
                .map(|i| book[code(i)] * scales[i / block])
                .collect()
        }
        Strategy::ZeroPoint { block_size } => {
            let block = block_size as usize;
            let zeros = floats(section("zero_points"));
            (0..count)
                .map(|i| book[code(i)] * scales[i / block] + zeros[i / block])
                .collect()
        }
        Strategy::PerChannel { axis } => {
            if count == 0 {
                return Vec::new();
            }
            let channels = entry.shape[axis] as usize;
            let stride: usize = entry.shape[axis + 1..].iter().product::<u64>() as usize;
            let padded = (count / channels).div_ceil(2) * 2;
            let value = |i: usize| {
                let (outer, channel, inner) =
                    (i / stride / channels, i / stride % channels, i % stride);
                book[code(channel * padded + outer * stride + inner)] * scales[channel]
            };
            (0..count).map(value).collect()
        }
    }
}

// --- The directory

const DTYPES: [(&str, u64); 13] = [
    ("f64", 8),
    ("i64", 8),
    ("u64", 8),
    ("f32", 4),
    ("i32", 4),
    ("u32", 4),
    ("f16", 2),
    ("bf16", 2),
    ("i16", 2),
    ("u16", 2),
    ("i8", 1),
    ("u8", 1),
    ("bool", 1),
];

const fn align(n: u64) -> u64 {
    n.div_ceil(ALIGNMENT) * ALIGNMENT
}

fn parse_directory(raw: &[u8]) -> Result<(Map<String, Value>, Vec<Entry>)> {
    if std::str::from_utf8(raw).is_err() {
        return refuse("directory-text", "the directory is no UTF-8");
    }
    scan(raw)?;
    let mut parser = serde_json::Deserializer::from_slice(raw);
    let parsed = Unique::deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    let json = match parsed {
        Ok(Unique(value)) => value,
        Err(error) if error.to_string().contains(TWICE) => {
            return refuse("duplicate-key", error.to_string())
        }
        Err(error) => return refuse("directory-text", error.to_string()),
    };
    let Value::Object(mut json) = json else {
        return refuse("directory", "the directory is no object");
    };
    let (Some(Value::Object(metadata)), Some(Value::Array(tensors)), true) = (
        json.remove("metadata"),
        json.remove("tensors"),
        json.is_empty(),
    ) else {
        return refuse("directory", "the directory is not metadata and tensors");
    };
    let mut names = std::collections::HashSet::new();
    let mut entries = Vec::new();
    let mut end = 0u64;
    for value in &tensors {
        let entry = parse_entry(value)?;
        need(
            names.insert(entry.name.clone()),
            "duplicate-name",
            "two tensors have one name",
        )?;
        need(
            entry.offset == end,
            "offset",
            "a tensor does not begin where the one before ends",
        )?;
        end += entry.size;
        need(end <= MAX_SAFE, "overflow", "the tensors end beyond 2^53")?;
        entries.push(entry);
    }
    Ok((metadata, entries))
}

fn parse_entry(value: &Value) -> Result<Entry> {
    let Value::Object(fields) = value else {
        return refuse("entry", "an entry is no object");
    };
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    let whole = |field: &str| {
        fields
            .get(field)
            .and_then(Value::as_u64)
            .filter(|&n| n <= MAX_SAFE)
    };
    let has = |field: &str| fields.contains_key(field);
    let Some(name) = text("name").filter(|name| (1..=1024).contains(&name.len())) else {
        return refuse("name", "a name is not 1 to 1,024 bytes of text");
    };
    let known = [
        "name", "dtype", "shape", "offset", "size", "crc32", "sections",
    ];
    let of_quantized = [
        "scheme",
        "strategy",
        "axis",
        "block_size",
        "nested_block_size",
        "nested_map",
    ];
    let is_known =
        |key: &str| known.contains(&key) || (has("scheme") && of_quantized.contains(&key));
    need(
        fields.keys().all(|key| is_known(key)),
        "unknown-field",
        "an entry has an unknown field",
    )?;
    let Some(&(dtype, width)) = DTYPES
        .iter()
        .find(|(known, _)| Some(*known) == text("dtype"))
    else {
        return refuse("dtype", "the element type is not known");
    };
    let axes = fields
        .get("shape")
        .and_then(Value::as_array)
        .filter(|axes| axes.len() <= 16);
    let lengths =
        axes.and_then(|axes| axes.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>());
    let Some(shape) = lengths.filter(|shape| shape.iter().all(|&n| n <= MAX_SAFE)) else {
        return refuse("shape", "the shape is no list of at most 16 whole numbers");
    };
    let some = shape
        .iter()
        .filter(|&&n| n > 0)
        .try_fold(8u64, |a, &b| a.checked_mul(b));
    need(
        some.is_some_and(|bytes| bytes <= MAX_SAFE),
        "overflow",
        "the shape overflows",
    )?;

    let quantization = if has("scheme") {
        Some(parse_quantization(fields, dtype, &shape)?)
    } else {
        None
    };
    let count: u64 = shape.iter().product();
    let lengths = match &quantization {
        None => vec![("values", count * width)],
        Some(quantization) => section_lengths(quantization, &shape, count),
    };
    let mut sections = Vec::new();
    let mut size = 0u64;
    for (section, length) in lengths {
        sections.push((section, size, length));
        size = align(size + length);
    }
    need(size <= MAX_SAFE, "overflow", "the tensor overflows")?;
    need(
        whole("size") == Some(size),
        "tensor-size",
        "the size is not that of shape and scheme",
    )?;
    let listed: Map<String, Value> = sections
        .iter()
        .map(|&(section, at, length)| (section.into(), Value::from(vec![at, length])))
        .collect();
    let same = fields.get("sections") == Some(&Value::Object(listed));
    need(
        same,
        "sections",
        "the sections are not those of shape and scheme",
    )?;
    let Some(offset) = whole("offset") else {
        return refuse("offset", "the offset is no whole number");
    };
    let digits = text("crc32").filter(|digits| {
        digits.len() == 8
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    });
    let Some(crc32) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
        return refuse("crc32", "the checksum is not eight hexadecimal digits");
    };
    Ok(Entry {
        name: name.into(),
        dtype: dtype.into(),
        shape,
        quantization,
        offset,
        size,
        crc32,
        sections,
    })
}

fn parse_quantization(
    fields: &Map<String, Value>,
    dtype: &str,
    shape: &[u64],
) -> Result<Quantization> {
    let text = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or("");
    let scheme = text("scheme");
    need(
        ["nf4", "fp4"].contains(&scheme),
        "scheme",
        "the scheme is not known",
    )?;
    let strategy = text("strategy");
    let is_known = ["blockwise", "per-channel", "zero-point"].contains(&strategy);
    need(is_known, "strategy", "the strategy is not known")?;
    need(
        ["f64", "f32", "f16", "bf16"].contains(&dtype),
        "quantized-dtype",
        "a quantized type is no float",
    )?;
    let double = fields.contains_key("nested_block_size") || fields.contains_key("nested_map");
    let is_right = fields.get("nested_block_size").and_then(Value::as_u64) == Some(NESTED_BLOCK)
        && text("nested_map") == "dynamic8";
    need(
        !double || is_right,
        "nested",
        "the scales are quantized in another way",
    )?;
    let (axis, block_size) = (fields.get("axis"), fields.get("block_size"));
    let strategy = if strategy == "per-channel" {
        match axis.and_then(Value::as_u64) {
            Some(axis) if block_size.is_none() && axis < shape.len() as u64 => {
                Strategy::PerChannel {
                    axis: axis as usize,
                }
            }
            _ => return refuse("axis", "an axis of the shape and no block_size are needed"),
        }
    } else {
        match block_size.and_then(Value::as_u64) {
            Some(block_size) if axis.is_none() && (1..=u32::MAX as u64).contains(&block_size) => {
                if strategy == "blockwise" {
                    Strategy::Blockwise { block_size }
                } else {
                    Strategy::ZeroPoint { block_size }
                }
            }
            _ => {
                return refuse(
                    "block-size",
                    "a block_size from 1 to 2^32 - 1 and no axis are needed",
                )
            }
        }
    };
    Ok(Quantization {
        scheme: scheme.into(),
        strategy,
        double,
    })
}

fn section_lengths(
    quantization: &Quantization,
    shape: &[u64],
    count: u64,
) -> Vec<(&'static str, u64)> {
    let (blocks, codes) = match quantization.strategy {
        Strategy::PerChannel { axis } => {
            let channels = shape[axis];
            let length = if channels == 0 { 0 } else { count / channels };
            (channels, channels * length.div_ceil(2))
        }
        Strategy::Blockwise { block_size } | Strategy::ZeroPoint { block_size } => {
            (count.div_ceil(block_size), count.div_ceil(2))
        }
    };
    let mut lengths = vec![("codes", codes)];
    if quantization.double {
        let nested = 4 * blocks.div_ceil(NESTED_BLOCK);
        lengths.extend([
            ("scale_codes", blocks),
            ("nested_absmax", nested),
            ("nested_offset", 4),
        ]);
    } else {
        lengths.push(("scales", 4 * blocks));
    }
    if matches!(quantization.strategy, Strategy::ZeroPoint { .. }) {
        lengths.push(("zero_points", 4 * blocks));
    }
    lengths
}

// --- JSON

/// Counts brackets and commas before anything is built of the text.
fn scan(raw: &[u8]) -> Result<()> {
    let (mut depth, mut values, mut at) = (0usize, 1usize, 0usize);
    while at < raw.len() {
        match raw[at] {
            b'"' => {
                at += 1;
                while at < raw.len() && raw[at] != b'"' {
                    at += if raw[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => {
                depth += 1;
                values += 1;
                need(
                    depth <= MAX_DEPTH,
                    "directory-depth",
                    "the directory nests too deep",
                )?;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        need(
            values <= MAX_VALUES,
            "directory-values",
            "the directory holds too many values",
        )?;
        at += 1;
    }
    Ok(())
}

const TWICE: &str = "is there twice";

/// A value whose objects have no key twice; serde_json's own keeps the last and says nothing.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Unique;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> std::result::Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> std::result::Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> std::result::Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> std::result::Result<Unique, E> {
                Ok(Unique(
                    Number::from_f64(value).map_or(Value::Null, Value::Number),
                ))
            }
            fn visit_str<E>(self, value: &str) -> std::result::Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_unit<E>(self) -> std::result::Result<Unique, E> {
                Ok(Unique(Value::Null))
            }
            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut items: A,
            ) -> std::result::Result<Unique, A::Error> {
                let mut list = Vec::new();
                while let Some(Unique(value)) = items.next_element()? {
                    list.push(value);
                }
                Ok(Unique(Value::Array(list)))
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut members: A,
            ) -> std::result::Result<Unique, A::Error> {
                let mut map = Map::new();
                while let Some((key, Unique(value))) = members.next_entry::<String, Unique>()? {
                    if map.contains_key(&key) {
                        return Err(de::Error::custom(format!("the key {key:?} {TWICE}")));
                    }
                    map.insert(key, value);
                }
                Ok(Unique(Value::Object(map)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

// --- Checksum

const fn crc_table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ 0xedb8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[i] = value;
        i += 1;
    }
    table
}

static CRC_TABLE: [u32; 256] = crc_table();

/// CRC-32 of bytes behind others whose checksum is `before`, 0 if there are none.
fn crc32(before: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!before, |crc, &byte| {
        CRC_TABLE[((crc ^ byte as u32) & 255) as usize] ^ crc >> 8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/goldens");

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }

    fn golden(name: &str) -> Vec<u8> {
        fs::read(format!("{GOLDENS}/{name}")).unwrap()
    }

    /// The bytes that a golden has for a tensor: its values, those of f16 and bf16 widened to f32.
    fn bytes_of(tensor: &Tensor, dtype: &str) -> Vec<u8> {
        let flat = tensor.flatten_all().unwrap();
        macro_rules! bytes {
            ($held:ty, $stored:ty) => {
                flat.to_vec1::<$held>()
                    .unwrap()
                    .iter()
                    .flat_map(|&v| (v as $stored).to_le_bytes())
                    .collect()
            };
        }
        match dtype {
            "f64" => bytes!(f64, f64),
            "f32" => bytes!(f32, f32),
            "f16" | "bf16" => {
                let flat = flat.to_dtype(DType::F32).unwrap();
                flat.to_vec1::<f32>()
                    .unwrap()
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect()
            }
            "i64" => bytes!(i64, i64),
            "u64" => bytes!(i64, u64),
            "i32" => bytes!(i32, i32),
            "i16" => bytes!(i16, i16),
            "i8" => bytes!(i16, i8),
            "u32" => bytes!(u32, u32),
            "u16" => bytes!(u32, u16),
            _ => bytes!(u8, u8),
        }
    }

    #[test]
    fn every_tensor_of_every_golden_is_what_the_writer_decodes_bit_for_bit() {
        let expected: Value = serde_json::from_slice(&golden("expected.json")).unwrap();
        let mut tensors = 0;
        for (name, values) in expected.as_object().unwrap() {
            let mut file = Qnat::open(format!("{GOLDENS}/{name}.qnat")).unwrap();
            let values = values.as_object().unwrap();
            assert_eq!(file.entries.len(), values.len());
            for (tensor, value) in values {
                let read = file.tensor(tensor, &Device::Cpu).unwrap();
                let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
                assert_eq!(read.dims(), shape, "{name}: {tensor}");
                let bytes = bytes_of(&read, value["dtype"].as_str().unwrap());
                assert_eq!(
                    bytes,
                    hex(value["hex"].as_str().unwrap()),
                    "{name}: {tensor}"
                );
                tensors += 1;
            }
        }
        assert!(tensors > 50, "{tensors} tensors");
    }

    #[test]
    fn metadata_is_what_was_written() {
        let file = Qnat::open(format!("{GOLDENS}/dense.qnat")).unwrap();
        assert_eq!(file.metadata["config"]["model_type"], "llama");
    }

    #[test]
    fn the_map_is_the_one_of_the_specification() {
        let bytes: Vec<u8> = dynamic_map().iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(crc32(0, &bytes), 0x1b137aeb);
        assert_eq!(crc32(0, b"123456789"), 0xcbf43926);
    }

    /// Opens a file and reads all of it.
    fn read_all(bytes: Vec<u8>) -> Result<()> {
        let mut file = Qnat::new(Cursor::new(bytes))?;
        for name in file
            .entries
            .iter()
            .map(|entry| entry.name.clone())
            .collect::<Vec<_>>()
        {
            file.tensor(&name, &Device::Cpu)?;
        }
        Ok(())
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_refused() {
        let whole = golden("nf4-double.qnat");
        read_all(whole.clone()).unwrap();
        for length in 0..whole.len() {
            let rule = read_all(whole[..length].to_vec()).unwrap_err().rule;
            assert!(
                ["truncated", "size", "file-size", "data-offset"].contains(&rule),
                "{length}: {rule}"
            );
        }
    }

    #[test]
    fn a_byte_that_is_changed_anywhere_is_noticed() {
        let whole = golden("nf4-double.qnat");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(read_all(damaged).is_err(), "byte {at}");
        }
    }

    /// The file with its directory changed, and the checksums made right again.
    fn forge(change: impl Fn(String) -> String) -> Vec<u8> {
        let whole = golden("dense.qnat");
        let size = u64::from_le_bytes(whole[24..32].try_into().unwrap()) as usize;
        let start = u64::from_le_bytes(whole[32..40].try_into().unwrap()) as usize;
        let directory = change(String::from_utf8(whole[64..64 + size].to_vec()).unwrap());
        let mut file = whole[..64].to_vec();
        file.extend(directory.as_bytes());
        file.resize(align(file.len() as u64) as usize, 0);
        let data_start = file.len() as u64;
        file.extend(&whole[start..]);
        file[24..32].copy_from_slice(&(directory.len() as u64).to_le_bytes());
        file[32..40].copy_from_slice(&data_start.to_le_bytes());
        file[52..56].copy_from_slice(&crc32(0, directory.as_bytes()).to_le_bytes());
        let checksum = crc32(0, &file[..60]).to_le_bytes();
        file[60..64].copy_from_slice(&checksum);
        file
    }

    #[test]
    fn a_file_that_lies_is_refused_by_rule() {
        read_all(forge(|text| text)).unwrap();
        let cases: [(&str, &str, &str); 9] = [
            (
                "duplicate-key",
                "\"dtype\":",
                "\"dtype\":\"f32\",\"dtype\":",
            ),
            ("unknown-field", "\"dtype\":", "\"extra\":1,\"dtype\":"),
            ("shape", "\"shape\":[2,3]", "\"shape\":[2,-3]"),
            (
                "overflow",
                "\"shape\":[2,3]",
                "\"shape\":[9007199254740991,9007199254740991]",
            ),
            ("tensor-size", "\"shape\":[2,3]", "\"shape\":[200,3]"),
            ("offset", "\"offset\":64", "\"offset\":0"),
            ("sections", "\"values\":[0,", "\"values\":[64,"),
            ("scheme", "\"dtype\":", "\"scheme\":\"nf3\",\"dtype\":"),
            ("directory-text", "\"model_type\"", "\"\\ud800\""),
        ];
        for (rule, from, to) in cases {
            assert_eq!(
                read_all(forge(|text| text.replacen(from, to, 1)))
                    .unwrap_err()
                    .rule,
                rule
            );
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let error = read_all(forge(|text| text.replacen("\"llama\"", &deep, 1))).unwrap_err();
        assert_eq!(error.rule, "directory-depth");
    }
}
