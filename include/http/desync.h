/* ELB's desync mitigation (aws/http-desync-guardian): how far a request departs from RFC 9112, and
 * what each mode does about it.
 *
 *   class       monitor   defensive                       strictest
 *   compliant   pass      pass                            pass
 *   acceptable  pass      pass                            400
 *   ambiguous   pass      pass, close both connections    400
 *   severe      pass      400                             400
 *
 * What has no one meaning is malformed and never passed on, in no mode: validate.h lists it. So
 * the only severe requests that monitor lets through are those whose framing is known. Pure. */
#ifndef HTTP_DESYNC_H
#define HTTP_DESYNC_H

enum desync_mode {
    DESYNC_MODE_MONITOR,
    DESYNC_MODE_DEFENSIVE,
    DESYNC_MODE_STRICTEST,
};

enum desync_class {
    DESYNC_COMPLIANT,
    DESYNC_ACCEPTABLE,
    DESYNC_AMBIGUOUS,
    DESYNC_SEVERE,
};

/* X(ID, class, "name in ELB's access log") */
#define DESYNC_CAUSES(X)                                                                           \
    X(NONE, COMPLIANT, "")                                                                         \
    X(GET_HEAD_ZERO_CONTENT_LENGTH, ACCEPTABLE, "GetHeadZeroContentLength")                        \
    X(NON_COMPLIANT_HEADER, ACCEPTABLE, "NonCompliantHeader")                                      \
    X(SPACE_IN_URI, ACCEPTABLE, "SpaceInUri")                                                      \
    X(AMBIGUOUS_URI, AMBIGUOUS, "AmbiguousUri")                                                    \
    X(SUSPICIOUS_HEADER, AMBIGUOUS, "SuspiciousHeader")                                            \
    X(UNDEFINED_CONTENT_LENGTH_SEMANTICS, AMBIGUOUS, "UndefinedContentLengthSemantics")            \
    X(UNDEFINED_TRANSFER_ENCODING_SEMANTICS, AMBIGUOUS, "UndefinedTransferEncodingSemantics")      \
    X(EMPTY_HEADER, SEVERE, "EmptyHeader")                                                         \
    X(BAD_METHOD, SEVERE, "BadMethod")                                                             \
    X(BAD_URI, SEVERE, "BadUri")                                                                   \
    X(BAD_VERSION, SEVERE, "BadVersion")                                                           \
    X(BAD_HEADER, SEVERE, "BadHeader")                                                             \
    X(BAD_CONTENT_LENGTH, SEVERE, "BadContentLength")                                              \
    X(DUPLICATE_CONTENT_LENGTH, SEVERE, "DuplicateContentLength")                                  \
    X(MULTIPLE_CONTENT_LENGTH, SEVERE, "MultipleContentLength")                                    \
    X(BOTH_TE_CL_PRESENT, SEVERE, "BothTeClPresent")                                               \
    X(SUSPICIOUS_TE_CL_PRESENT, SEVERE, "SuspiciousTeClPresent")                                   \
    X(BAD_TRANSFER_ENCODING, SEVERE, "BadTransferEncoding")                                        \
    X(MULTIPLE_TRANSFER_ENCODING_CHUNKED, SEVERE, "MultipleTransferEncodingChunked")

enum desync_cause {
#define DESYNC_CAUSE(id, cls, name) DESYNC_##id,
    DESYNC_CAUSES(DESYNC_CAUSE)
#undef DESYNC_CAUSE
        DESYNC_CAUSE_COUNT,
};

enum desync_action {
    DESYNC_PASS,
    DESYNC_PASS_AND_CLOSE, /* serve it alone: close client and target connection afterwards */
    DESYNC_REFUSE,
};

enum desync_action desync_action(enum desync_mode mode, enum desync_class cls);
enum desync_class desync_class_of(enum desync_cause cause);
/* As in ELB's access log, field classification_reason: "SpaceInUri"; "" for NONE. */
const char *desync_cause_name(enum desync_cause cause);
/* Field classification: "Acceptable", "Ambiguous", "Severe"; "" for compliant. */
const char *desync_class_name(enum desync_class cls);

#endif
