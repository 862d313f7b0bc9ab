/// The formats of single images, each of which one decoder takes as a whole. GIF is read as a video.
enum ImageFormat: String, CaseIterable {
  case jpeg, png, webp, bmp, tiff, heic, avif

  /// Bytes of the beginning that tell the format.
  static let signatureByteCount = 64

  /// The format whose signature `bytes` begin with.
  init?(signature bytes: [UInt8]) {
    func begins(_ signature: [UInt8], at offset: Int = 0) -> Bool { bytes.dropFirst(offset).starts(with: signature) }
    if begins([0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if begins(ImageMetadata.pngSignature) {
      self = .png
    } else if begins(Array("RIFF".utf8)) && begins(Array("WEBP".utf8), at: 8) {
      self = .webp
    } else if begins(Array("BM".utf8)) {
      self = .bmp
    } else if begins(Array("II".utf8)) && (begins([42, 0], at: 2) || begins([43, 0], at: 2))
      || begins(Array("MM".utf8)) && (begins([0, 42], at: 2) || begins([0, 43], at: 2))
    {
      self = .tiff  // 43: BigTIFF
    } else if begins(Array("ftyp".utf8), at: 4), let format = ImageFormat(fileType: bytes) {
      self = format
    } else {
      return nil
    }
  }

  /// Of the box `ftyp` (ISO/IEC 14496-12, 4.3) the brand, and where that tells no codec the compatible ones. Videos have
  /// other brands; sequences of images have a main image, too.
  private init?(fileType bytes: [UInt8]) {
    func brand(at offset: Int) -> String { String(decoding: bytes.dropFirst(offset).prefix(4), as: UTF8.self) }
    switch brand(at: 8) {
    case "avif", "avis": self = .avif
    case "heic", "heix", "heim", "heis", "hevc", "hevx": self = .heic
    case "mif1", "msf1", "mif2":
      let end = min(bytes.count, bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) })
      let isAVIF = stride(from: 16, to: max(end - 3, 16), by: 4).contains { ["avif", "avis"].contains(brand(at: $0)) }
      self = isAVIF ? .avif : .heic
    default: return nil
    }
  }
}
