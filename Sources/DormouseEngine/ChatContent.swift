import DormouseMedia
import DormouseSupport

/// A part of a message that is an image, video or audio.
struct MediaPart: Sendable {
  enum Source: Sendable, Equatable {
    /// A path, or a file: or data: URL.
    case reference(String)
    /// The bytes of a file, in base64.
    case base64(String)
    /// What the caller handed over with the messages, by its number.
    case attachment(Int)
  }

  let modality: Modality
  let source: Source
  /// Frames a second of a video that are looked at; nil for what the model's files say.
  let framesPerSecond: Double?
  /// Where it stands, for sentences.
  let place: String
}

/// The parts of a message's content.
struct ChatContent {
  /// One string where all parts are text, else an array.
  private(set) var json: JSON
  private(set) var media: [MediaPart] = []

  /// - Throws: `Failure(.invalidArgument)`, or `.unsupported` for a type of parts that is not known.
  init(_ parts: [JSON], _ message: String) throws(Failure) {
    var templates: [JSON] = []
    for (index, part) in parts.enumerated() {
      let reader = try ChatPartReader(part, "\(message), part \(index)")
      if let text = try reader.text() {
        templates.append(ChatContent.textPart(text))
      } else {
        let part = try reader.media()
        media.append(part)
        // The names of transformers, whose templates look for either.
        templates.append(["type": .string(part.modality.rawValue), part.modality.rawValue: .string("")])
      }
    }
    json = ChatContent.json(templates)
  }

  /// A content with texts in place of its audio, the first of `texts`, which go.
  static func replacingAudio(in content: [JSON], by texts: inout ArraySlice<String>) -> JSON {
    json(
      content.map { part in
        guard part["type"]?.stringValue == Modality.audio.rawValue, let text = texts.popFirst() else { return part }
        return textPart(text)
      })
  }

  private static func textPart(_ text: String) -> JSON { ["type": "text", "text": .string(text)] }

  private static func json(_ parts: [JSON]) -> JSON {
    let texts = parts.compactMap { $0["text"]?.stringValue }
    return texts.count == parts.count ? .string(texts.joined()) : .array(parts)
  }
}

/// Reads one part, in the form of the chat format: its content is in a member that is called as its type.
private struct ChatPartReader {
  private let fields: JSONFields
  private let type: String
  private let place: String

  init(_ part: JSON, _ place: String) throws(Failure) {
    self.place = place
    guard part.objectValue != nil, let type = part["type"]?.stringValue else {
      throw Failure(.invalidArgument, "\(place): type must be a string")
    }
    self.type = type
    fields = try JSONFields(part, file: place, status: .invalidArgument)
  }

  /// Nil when it is no text.
  func text() throws(Failure) -> String? { type == "text" ? try fields.string("text") : nil }

  func media() throws(Failure) -> MediaPart {
    switch type {
    case "image_url": return try part(.image, fields: content("url"), known: ["url", "detail"])
    case "video_url": return try part(.video, fields: content("url"), known: ["url", "fps"])
    case "input_audio": return try audio()
    default:
      throw Failure(
        .unsupported, "\(place): parts of type '\(type)' are not known; known: text, image_url, video_url, input_audio")
    }
  }

  /// The member that holds the content: an object, or for `image_url` and `video_url` the address alone.
  private func content(_ key: String) throws(Failure) -> JSONFields {
    guard let value = fields.value(type) else {
      throw Failure(.invalidArgument, "\(place): \(type) is missing; expected an object with '\(key)'")
    }
    let object: JSON = value.stringValue.map { [key: .string($0)] } ?? value
    return try JSONFields(object, file: place, path: "\(type).", status: .invalidArgument)
  }

  private func audio() throws(Failure) -> MediaPart {
    let content = try content("data")
    guard let data = try content.optionalString("data") else {
      return try part(.audio, fields: content, known: ["url"])
    }
    try content.refuseMembers(besides: ["data", "format"])
    _ = try content.optionalString("format")
    return MediaPart(modality: .audio, source: .base64(data), framesPerSecond: nil, place: place)
  }

  private func part(_ modality: Modality, fields: JSONFields, known: [String]) throws(Failure) -> MediaPart {
    try fields.refuseMembers(besides: known)
    _ = known.contains("detail") ? try fields.optionalString("detail") : nil
    let rate = known.contains("fps") ? try fields.optionalNumber("fps", 0...1000, except: 0) : nil
    let address = try fields.string("url")
    return MediaPart(modality: modality, source: try source(address), framesPerSecond: rate, place: place)
  }

  private func source(_ address: String) throws(Failure) -> MediaPart.Source {
    let scheme = "attachment:"
    guard address.utf8.starts(with: scheme.utf8) else { return .reference(address) }
    guard let index = Int(String(decoding: address.utf8.dropFirst(scheme.utf8.count), as: UTF8.self)), index >= 0 else {
      throw Failure(
        .invalidArgument, "\(place): \(type).url is \(Excerpt.name(address)); expected attachment:NUMBER")
    }
    return .attachment(index)
  }
}
