import DormouseSupport

/// The formats of JSON Schema that are asserted, as patterns of the whole text (JSON Schema Validation, section 7.3).
enum StringFormat {
  /// Nil for a format that is an annotation alone.
  static func pattern(_ name: String) -> String? {
    switch name {
    case "date": date
    case "time": time
    case "date-time": "\(date)[Tt]\(time)"
    case "duration":
      "P((\\d+Y(\\d+M(\\d+D)?)?|\\d+M(\\d+D)?|\\d+D)(T(\\d+H(\\d+M(\\d+S)?)?|\\d+M(\\d+S)?|\\d+S))?"
        + "|T(\\d+H(\\d+M(\\d+S)?)?|\\d+M(\\d+S)?|\\d+S)|\\d+W)"
    case "email": "\(atom)(\\.\(atom))*@(\(hostname)|\\[\(ipv4)\\])"
    case "hostname": hostname
    case "ipv4": ipv4
    case "ipv6": ipv6
    case "uri": uri
    case "uuid": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    default: nil
    }
  }

  // RFC 3339. Days end with their months; those of February with a leap year's.
  private static let date =
    "(\\d{4}-(0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|\\d{4}-(0[469]|11)-(0[1-9]|[12]\\d|30)"
    + "|\\d{4}-02-(0[1-9]|1\\d|2[0-8])|(\\d\\d([02468][48]|[13579][26]|[2468]0)|([02468][048]|[13579][26])00)-02-29)"
  private static let time =
    "(([01]\\d|2[0-3]):[0-5]\\d:([0-5]\\d)|23:59:60)(\\.\\d+)?([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)"

  // RFC 5321's dot-string.
  private static let atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
  private static let label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
  private static let hostname = "\(label)(\\.\(label))*"

  private static let octet = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
  private static let ipv4 = "\(octet)(\\.\(octet)){3}"

  // RFC 4291, section 2.2, as RFC 3986 writes it.
  private static let group = "[0-9A-Fa-f]{1,4}"
  private static let last = "(\(group):\(group)|\(ipv4))"
  private static let ipv6 =
    "((\(group):){6}\(last)|::(\(group):){5}\(last)|(\(group))?::(\(group):){4}\(last)"
    + "|((\(group):){0,1}\(group))?::(\(group):){3}\(last)|((\(group):){0,2}\(group))?::(\(group):){2}\(last)"
    + "|((\(group):){0,3}\(group))?::\(group):\(last)|((\(group):){0,4}\(group))?::\(last)"
    + "|((\(group):){0,5}\(group))?::\(group)|((\(group):){0,6}\(group))?::)"

  // RFC 3986, appendix A.
  private static let unreserved = "A-Za-z0-9._~\\-"
  private static let delimiters = "!$&'()*+,;="
  private static let escaped = "%[0-9A-Fa-f]{2}"
  private static let character = "([\(unreserved)\(delimiters):@]|\(escaped))"
  private static let authority =
    "(([\(unreserved)\(delimiters):]|\(escaped))*@)?"
    + "(\\[(\(ipv6)|v[0-9A-Fa-f]+\\.[\(unreserved)\(delimiters):]+)\\]|([\(unreserved)\(delimiters)]|\(escaped))*)"
    + "(:\\d*)?"
  private static let uri =
    "[A-Za-z][A-Za-z0-9+.-]*:(//\(authority)(/\(character)*)*|/(\(character)+(/\(character)*)*)?"
    + "|\(character)+(/\(character)*)*|)(\\?(\(character)|[/?])*)?(#(\(character)|[/?])*)?"
}
