import DormouseLayers
import DormouseSupport

/// Fields that several files of image and video processors have.
extension ProcessorFiles {
  static let patchRange = 1...256
  static let mergeRange = 1...16
  static let patchCountRange = 1...(1 << 20)
  static let sideRange = 1...4096

  /// A processor of images or videos: the object `key` of `processor_config.json`, else the first of `names` that the
  /// folder has, else a document without fields.
  static func processor(
    _ key: String, _ names: [String], folder: String
  ) throws(Failure) -> (fields: JSONFields, isNested: Bool) {
    if let nested = try nested(key, folder: folder) { return (nested, true) }
    for name in names {
      if let fields = try document(name, folder: folder) { return (fields, false) }
    }
    return (try JSONFields(.object(JSONObject()), file: "\(folder)/\(names.first ?? key)"), false)
  }

  static func image(folder: String) throws(Failure) -> (fields: JSONFields, isNested: Bool) {
    try processor("image_processor", ["preprocessor_config.json"], folder: folder)
  }

  static func video(folder: String) throws(Failure) -> (fields: JSONFields, isNested: Bool) {
    try processor(
      "video_processor", ["video_preprocessor_config.json", "preprocessor_config.json"], folder: folder)
  }

  /// Refuses a processor that leaves out a step.
  static func requireEveryStep(_ fields: JSONFields) throws(Failure) {
    for step in ["do_resize", "do_rescale", "do_normalize", "do_convert_rgb"] {
      guard try fields.optionalBoolean(step) ?? true else {
        throw fields.unsupported(step, .bool(false), supported: "true")
      }
    }
  }

  static func filter(_ fields: JSONFields) throws(Failure) -> ResampleFilter {
    guard let number = try fields.optionalInteger("resample", 0...5) else { return .bicubic }
    guard let filter = ResampleFilter(rawValue: number) else {
      throw fields.unsupported(
        "resample", .integer(Int64(number)), supported: "1 (Lanczos), 2 (bilinear), 3 (bicubic)")
    }
    return filter
  }

  /// `size`: the same number of patches for both sides.
  static func side(_ fields: JSONFields, default standard: Int) throws(Failure) -> Int {
    guard let size = try fields.fields("size") else { return standard }
    let height = try size.integer("max_height", sideRange)
    let width = try size.integer("max_width", sideRange)
    guard height == width else {
      throw size.wrong("max_width", .integer(Int64(width)), expected: "\(height), as max_height")
    }
    return height
  }

  /// `merge_kernel_size`: a number, or the same one twice.
  static func mergeKernel(_ fields: JSONFields) throws(Failure) -> Int? {
    guard let value = fields.value("merge_kernel_size") else { return nil }
    guard let pair = value.arrayValue else { return try fields.integer("merge_kernel_size", mergeRange) }
    let sizes = pair.compactMap { $0.integerValue.flatMap { Int(exactly: $0) } }
    guard pair.count == 2, sizes.count == 2, sizes[0] == sizes[1], mergeRange.contains(sizes[0]) else {
      throw Failure(
        .malformed,
        "\(fields.file): \(fields.path)merge_kernel_size is \(JSON.array(Array(pair.prefix(4))).text()); expected two"
          + " equal integers from \(mergeRange.lowerBound) to \(mergeRange.upperBound)")
    }
    return sizes[0]
  }

  static func normalization(
    _ fields: JSONFields, _ order: PixelNormalization.Order,
    default standard: (mean: [Double], deviation: [Double]) = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
  ) throws(Failure) -> PixelNormalization {
    PixelNormalization(
      mean: try channels(fields, "image_mean", -1e3...1e3) ?? standard.mean,
      deviation: try channels(fields, "image_std", 1e-6...1e3) ?? standard.deviation, order: order)
  }

  /// Three numbers, or one for all channels.
  private static func channels(
    _ fields: JSONFields, _ key: String, _ range: ClosedRange<Double>
  ) throws(Failure) -> [Double]? {
    guard let value = fields.value(key) else { return nil }
    guard let list = value.arrayValue else {
      let number = try fields.number(key, range)
      return [number, number, number]
    }
    let numbers = list.compactMap(\.doubleValue)
    guard list.count == 3, numbers.count == 3, numbers.allSatisfy({ range.contains($0) }) else {
      throw Failure(
        .malformed,
        "\(fields.file): \(fields.path)\(key) is \(JSON.array(Array(list.prefix(4))).text()); expected three numbers"
          + " from \(range.lowerBound) to \(range.upperBound)")
    }
    return numbers
  }
}
