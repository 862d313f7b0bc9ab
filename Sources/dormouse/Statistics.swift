import DormouseClient

/// The engine's statistics for people.
enum Statistics {
  static func table(_ statistics: LibraryDocument) -> Table {
    var table = Table()
    table.add("sessions", counts(statistics["sessions"], ["entered", "left", "refused", "cancelled", "failed"]))
    table.add("steps", steps(statistics["steps"]))
    table.add("tokens", counts(statistics["tokens"], ["prompt", "generated"]))
    table.add("seconds", seconds(statistics["seconds"]))
    for type in statistics["cache"]?.names ?? [] { table.add("cache \(type)", cache(statistics["cache", type])) }
    return table
  }

  private static func counts(_ value: JSONValue?, _ names: [String]) -> String? {
    value.map { value in
      names.map { "\(Units.grouped(value[$0]?.integer ?? 0)) \($0)" }.joined(separator: ", ")
    }
  }

  private static func steps(_ value: JSONValue?) -> String? {
    value.map { value in
      "\(Units.grouped(value["count"]?.integer ?? 0)), of \(decimal(value["mean_batch"])) sessions in the mean"
        + ", \(Units.grouped(value["largest_batch"]?.integer ?? 0)) at most"
    }
  }

  private static func seconds(_ value: JSONValue?) -> String? {
    value.map { value in
      "\(decimal(value["prompt"])) prompts, \(decimal(value["generation"])) generation"
        + ", \(decimal(value["mixed"])) both, \(decimal(value["waiting"])) waiting"
    }
  }

  private static func cache(_ value: JSONValue?) -> String? {
    value.map { value in
      let numbers = ["page_tokens", "page_bytes", "prefix_pages", "prefix_evicted", "tokens_found", "tokens_asked"]
        .map { value[$0]?.integer ?? 0 }
      return "pages of \(numbers[0]) tokens, \(Units.bytes(numbers[1])): "
        + (counts(value, ["used", "shared", "free"]) ?? "")
        + "\nprefixes: \(Units.grouped(numbers[2])) pages kept, \(Units.grouped(numbers[3])) evicted; "
        + "\(Units.grouped(numbers[4])) of \(Units.grouped(numbers[5])) tokens found"
        + " (\(Units.percent(value["hit_rate"]?.double ?? 0)))"
    }
  }

  private static func decimal(_ value: JSONValue?) -> String { Units.decimal(value?.double ?? 0, digits: 2) }
}
