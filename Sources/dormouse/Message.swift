/// One message of a chat.
struct Message: Codable {
  var role: String
  var content: Content

  /// A text, or files and a text.
  enum Content {
    case text(String)
    case parts([Part])
  }

  /// As the library's messages have it.
  struct Part: Codable {
    var type: String
    var text: String?
    var image_url: Address?
    var video_url: Address?
    var input_audio: Address?

    struct Address: Codable {
      var url: String
    }

    init(text: String) {
      type = "text"
      self.text = text
    }

    init(_ file: MediaChoices.File) {
      let address = Address(url: file.path)
      switch file.kind {
      case .image: (type, image_url) = ("image_url", address)
      case .video: (type, video_url) = ("video_url", address)
      case .audio: (type, input_audio) = ("input_audio", address)
      }
    }

    var path: String? { (image_url ?? video_url ?? input_audio)?.url }
  }

  init(role: String, text: String, files: [MediaChoices.File] = []) {
    self.role = role
    content = files.isEmpty ? .text(text) : .parts(files.map { Part($0) } + [Part(text: text)])
  }

  static func start(system: String?) -> [Message] {
    system.map { [Message(role: "system", text: $0)] } ?? []
  }

  /// What it says.
  var text: String {
    switch content {
    case .text(let text): text
    case .parts(let parts): parts.compactMap(\.text).joined(separator: "\n")
    }
  }

  /// The files that it names.
  var paths: [String] {
    guard case .parts(let parts) = content else { return [] }
    return parts.compactMap(\.path)
  }
}

extension Message.Content: Codable {
  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    self =
      if let text = try? value.decode(String.self) { .text(text) } else {
        .parts(try value.decode([Message.Part].self))
      }
  }

  func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .text(let text): try value.encode(text)
    case .parts(let parts): try value.encode(parts)
    }
  }
}
