from .page import check_report as check_report
from .page import write_report as write_report
from .score_page import write_score_report as write_score_report
